"""Priority and rate limit of a member: read back as written, and refused beyond their bounds."""

import msgspec
import pytest

from strongroom.config import ClusterConfig, Config, MemberConfig, PinSource, load_config, render_config
from strongroom.core import ConfigError


def config(**settings):
    members = [
        MemberConfig(name=name, profile="softhsm2", pin=PinSource(file="pin"), token_label=name)
        for name in ("alpha", "beta")
    ]
    members[1] = msgspec.structs.replace(members[1], **settings)
    return Config(version=1, cluster=ClusterConfig(members=members))


def test_both_are_read_back_as_written(tmp_path):
    written = config(priority=2, calls_per_s=250.0)
    (tmp_path / "strongroom.toml").write_text(render_config(written))
    alpha, beta = load_config(tmp_path).cluster.members
    assert (alpha.priority, alpha.calls_per_s) == (0, 0.0)
    assert (beta.priority, beta.calls_per_s) == (2, 250.0)


@pytest.mark.parametrize("settings", [{"priority": -1}, {"priority": 101}, {"calls_per_s": -0.5}])
def test_a_value_out_of_bounds_is_refused_by_name(tmp_path, settings):
    (tmp_path / "strongroom.toml").write_text(render_config(config(**settings)))
    with pytest.raises(ConfigError, match=next(iter(settings))):
        load_config(tmp_path)
