/* Part of shim.c: objects and keys. New keys can be hidden for a while, templates refused, token objects write-protected. */

static uint64_t id_of(CK_ULONG session, CK_ULONG handle) /* 0: it has none, or is none */
{
    CK_BYTE id[256];
    CK_ATTRIBUTE attribute = { CKA_ID, id, sizeof id };
    if (real->C_GetAttributeValue(session, handle, &attribute, 1) != CKR_OK || attribute.ulValueLen > sizeof id)
        return 0;
    return hashed(0, id, attribute.ulValueLen);
}

static CK_RV made(CK_RV rv, CK_ULONG session, const CK_ULONG *handle)
{
    uint64_t hide = GET(W_HIDE_NS), now = now_ns(), id;
    if (rv != CKR_OK || !hide || !(id = id_of(session, *handle)))
        return rv;
    for (int i = HIDDEN; i < HIDDEN + 2 * N_HIDDEN; i += 2)
        if (GET(i + 1) < now) {
            SET(i, id);
            SET(i + 1, now + hide);
            break;
        }
    return rv;
}

static int is_hidden(CK_ULONG session, CK_ULONG handle)
{
    uint64_t now = now_ns(), id = 0;
    for (int i = HIDDEN; i < HIDDEN + 2 * N_HIDDEN; i += 2) {
        if (GET(i + 1) < now)
            continue;
        if (!id && !(id = id_of(session, handle)))
            return 0;
        if (GET(i) == id)
            return 1;
    }
    return 0;
}

static int is_for_token(const CK_ATTRIBUTE *template, CK_ULONG n)
{
    for (CK_ULONG i = 0; template && i < n; i++)
        if (template[i].type == CKA_TOKEN && template[i].pValue && template[i].ulValueLen == 1)
            return *(const CK_BYTE *)template[i].pValue;
    return 0;
}

static CK_RV may_make(const CK_ATTRIBUTE *template, CK_ULONG n)
{
    uint64_t refused = GET(W_REFUSED_ATTRIBUTE);
    for (CK_ULONG i = 0; refused && template && i < n; i++)
        if (template[i].type == refused)
            return GET(W_REFUSED_CODE);
    return GET(W_WRITE_PROTECTED) && is_for_token(template, n) ? CKR_TOKEN_WRITE_PROTECTED : CKR_OK;
}

static CK_RV create_object(CK_ULONG a, CK_ATTRIBUTE *b, CK_ULONG c, CK_ULONG *d)
{
    CK_RV rv = may_make(b, c);
    return rv ? rv : made(real->C_CreateObject(a, b, c, d), a, d);
}

static CK_RV copy_object(CK_ULONG a, CK_ULONG b, CK_ATTRIBUTE *c, CK_ULONG d, CK_ULONG *e)
{
    CK_RV rv = may_make(c, d);
    return rv ? rv : made(real->C_CopyObject(a, b, c, d, e), a, e);
}

static CK_RV destroy_object(CK_ULONG a, CK_ULONG b)
{
    CK_BYTE on_token = 0;
    CK_ATTRIBUTE attribute = { CKA_TOKEN, &on_token, 1 };
    if (GET(W_WRITE_PROTECTED) && real->C_GetAttributeValue(a, b, &attribute, 1) == CKR_OK && on_token)
        return CKR_TOKEN_WRITE_PROTECTED;
    return real->C_DestroyObject(a, b);
}

static CK_RV set_attribute_value(CK_ULONG a, CK_ULONG b, CK_ATTRIBUTE *c, CK_ULONG d)
{
    return GET(W_WRITE_PROTECTED) ? CKR_TOKEN_WRITE_PROTECTED : real->C_SetAttributeValue(a, b, c, d);
}

static CK_RV find_objects(CK_ULONG a, CK_ULONG *b, CK_ULONG c, CK_ULONG *d)
{
    for (;;) {
        CK_ULONG kept = 0;
        CK_RV rv = real->C_FindObjects(a, b, c, d);
        if (rv != CKR_OK || !*d)
            return rv;
        for (CK_ULONG i = 0; i < *d; i++)
            if (!is_hidden(a, b[i]))
                b[kept++] = b[i];
        *d = kept;
        if (kept)
            return CKR_OK;
    }
}

static CK_RV generate_key(CK_ULONG a, CK_MECHANISM *b, CK_ATTRIBUTE *c, CK_ULONG d, CK_ULONG *e)
{
    CK_RV rv = may_make(c, d);
    return rv ? rv : made(real->C_GenerateKey(a, b, c, d, e), a, e);
}

static CK_RV generate_key_pair(CK_ULONG a, CK_MECHANISM *b, CK_ATTRIBUTE *c, CK_ULONG d, CK_ATTRIBUTE *e, CK_ULONG f, CK_ULONG *g,
                               CK_ULONG *h)
{
    CK_RV rv = may_make(c, d);
    rv = rv ? rv : may_make(e, f);
    return rv ? rv : made(real->C_GenerateKeyPair(a, b, c, d, e, f, g, h), a, h);
}

static CK_RV unwrap_key(CK_ULONG a, CK_MECHANISM *b, CK_ULONG c, CK_BYTE *d, CK_ULONG e, CK_ATTRIBUTE *f, CK_ULONG g, CK_ULONG *h)
{
    CK_RV rv = may_make(f, g);
    if (rv == CKR_OK && is_hidden(a, c))
        rv = CKR_KEY_HANDLE_INVALID;
    return rv ? rv : made(real->C_UnwrapKey(a, b, c, d, e, f, g, h), a, h);
}

static CK_RV derive_key(CK_ULONG a, CK_MECHANISM *b, CK_ULONG c, CK_ATTRIBUTE *d, CK_ULONG e, CK_ULONG *f)
{
    CK_RV rv = may_make(d, e);
    if (rv == CKR_OK && is_hidden(a, c))
        rv = CKR_KEY_HANDLE_INVALID;
    return rv ? rv : made(real->C_DeriveKey(a, b, c, d, e, f), a, f);
}

static CK_RV wrap_key(CK_ULONG a, CK_MECHANISM *b, CK_ULONG c, CK_ULONG d, CK_BYTE *e, CK_ULONG *f)
{
    return is_hidden(a, c) || is_hidden(a, d) ? CKR_KEY_HANDLE_INVALID : real->C_WrapKey(a, b, c, d, e, f);
}

static int is_too_long(CK_ULONG n)
{
    return GET(W_MAX_DATA) && n > GET(W_MAX_DATA);
}

static CK_RV sign_init(CK_ULONG a, CK_MECHANISM *b, CK_ULONG c)
{
    return is_hidden(a, c) ? CKR_KEY_HANDLE_INVALID : real->C_SignInit(a, b, c);
}

static CK_RV sign(CK_ULONG a, CK_BYTE *b, CK_ULONG c, CK_BYTE *d, CK_ULONG *e)
{
    return is_too_long(c) ? CKR_DATA_LEN_RANGE : real->C_Sign(a, b, c, d, e);
}

static CK_RV digest(CK_ULONG a, CK_BYTE *b, CK_ULONG c, CK_BYTE *d, CK_ULONG *e)
{
    return is_too_long(c) ? CKR_DATA_LEN_RANGE : real->C_Digest(a, b, c, d, e);
}
