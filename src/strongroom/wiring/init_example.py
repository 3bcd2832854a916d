"""The example that ``strongroom init --example-script`` prints: every table of the script, with words."""

from typing import Final

EXAMPLE_SCRIPT: Final = """\
# What 'strongroom init --script THIS --genesis genesis.json' makes of blank tokens. docs/initialisation.md tells more.
# No PIN and no passphrase ever stands here: PINs are made by init, and nobody types them.

version = 1

[cluster]
name = "production"          # officers read it in their genesis
# min_copies = 2             # as in strongroom.toml
# max_direct_keys = 1000

[policy]
fips = false                 # true: only approved mechanisms and key sizes
audit_required = true        # there is no false: nothing is answered before its audit entry is on disk

[pins]
# User PINs lie in the home sealed under this key. Made if it is not there. On a host with systemd, better:
# sealing_key = { credential = "strongroom-sealing-key" }
sealing_key = { file = "pins/sealing-key" }

[tls]                        # without this table, service names your own: tls_certificate and tls_key, absolute paths
make_for = ["localhost", "127.0.0.1"]

[service]                    # as in strongroom.toml, and so are cache, deadlines, lifecycle, oidc and quotas
host = "127.0.0.1"
port = 8443

# Tokens are taken in this order. Each gets a label, a user PIN and a security officer's PIN.
[[members]]
name = "alpha"
profile = "softhsm2"         # docs/hsm-profiles.md lists them
# module = "/opt/vendor/lib/libpkcs11.so"
# token_label = "strongroom-alpha"
# environment = { VENDOR_CONF = "/etc/vendor.conf" }
# security_officers = ["anna"] # who gets the PIN of its security officer; else each security officer

[[members]]
name = "beta"
profile = "softhsm2"

# The people of the genesis. keys: the line of the file .pub. recipient: where a delivery is encrypted to, age1… or ssh-ed25519.
[[officers]]
id = "anna"
name = "Anna Example"
roles = ["security-officer"]
keys = ["PUT THE LINE OF anna.pub HERE"]
recipient = "PUT age1… OR THE ssh-ed25519 LINE OF anna HERE"
principals = ["user/anna"]   # as whom she calls the service: what she asks for there she does not approve

[[officers]]
id = "ben"
name = "Ben Example"
roles = ["security-officer"]
keys = ["PUT THE LINE OF ben.pub HERE"]
recipient = "PUT age1… OR THE ssh-ed25519 LINE OF ben HERE"

[[officers]]
id = "cleo"
name = "Cleo Example"
roles = ["crypto-officer"]
keys = ["PUT THE LINE OF cleo.pub HERE"]

[[officers]]
id = "dora"
name = "Dora Example"
roles = ["crypto-officer"]
keys = ["PUT THE LINE OF dora.pub HERE"]

# How many people of which role a verb takes. A verb without a rule cannot be done at all.
[rules]
AddOfficer = { m = 2, role = "security-officer", expires_s = 86400 }
AddOfficerKey = { m = 2, role = "security-officer" }   # expires_s is a day where it is left out
ChangeOfficerRecipient = { m = 2, role = "security-officer" }
ChangeOfficerRoles = { m = 2, role = "security-officer" }
RevokeOfficer = { m = 1, role = "security-officer" }
RevokeOfficerKey = { m = 1, role = "security-officer" }
SetQuorumRule = { m = 2, role = "security-officer" }
RemoveQuorumRule = { m = 2, role = "security-officer" }
AddMember = { m = 2, role = "security-officer" }
ResetMember = { m = 2, role = "security-officer" }
RotatePin = { m = 1, role = "security-officer" }
RotateRoot = { m = 2, role = "crypto-officer" }
RetireRoot = { m = 2, role = "crypto-officer" }
CreateHsmKey = { m = 1, role = "crypto-officer", standing = true }
DestroyHsmKey = { m = 2, role = "crypto-officer" }
ReplaceHsmKey = { m = 2, role = "crypto-officer" }     # a key on one member that is not the same as on the others
ScheduleKeyDeletion = { m = 1, role = "crypto-officer" }
RetireKeyVersion = { m = 1, role = "crypto-officer" }
MakeAuditKey = { m = 2, role = "crypto-officer" }          # the key that signs checkpoints of the audit log
PruneAuditLog = { m = 2, role = "security-officer" }       # the oldest entries of the audit log go for good
MakeBackupSet = { m = 2, role = "security-officer" }       # and of its custodians as many as its threshold to open a backup
CreateBackup = { m = 1, role = "crypto-officer", standing = true }
RestoreBackup = { m = 2, role = "security-officer" }
RetireBackupSet = { m = 2, role = "security-officer" }

# Who may call from the beginning. The secret is left in access-keys/ of the home, mode 0400, to be taken and removed; with
# deliver_to = ["anna"] it is encrypted to her instead.
[[access_keys]]
principal = "user/cleo"
roles = ["crypto-officer"]

[[access_keys]]
principal = "user/app"
roles = ["crypto-user"]
"""
