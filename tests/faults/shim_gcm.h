/* Part of shim.c: AES-GCM with an IV of the token's own.
 *
 * In the parameter (CloudHSM): the caller's IV is overwritten with zeros, the token's own is written into pIv when the
 * ciphertext is. Behind the tag (Luna in FIPS mode) and before the ciphertext (CKM_CLOUDHSM_AES_GCM, which always does so):
 * the output is longer by the IV. Such a ciphertext can be decrypted as it is with an empty IV, or apart with its IV. */

static struct session *session_of(CK_ULONG handle)
{
    struct session *s;
    pthread_mutex_lock(&lock);
    s = find(handle);
    pthread_mutex_unlock(&lock);
    return s;
}

static int is_gcm(const CK_MECHANISM *m)
{
    return m && (m->mechanism == CKM_AES_GCM || m->mechanism == CKM_CLOUDHSM_AES_GCM) && m->pParameter &&
           m->ulParameterLen == sizeof(CK_GCM_PARAMS);
}

static int iv_mode(const CK_MECHANISM *m)
{
    return m->mechanism == CKM_CLOUDHSM_AES_GCM ? 3 : (int)GET(W_IV_MODE);
}

static CK_RV encrypt_init(CK_ULONG a, CK_MECHANISM *b, CK_ULONG c)
{
    struct session *s = session_of(a);
    CK_GCM_PARAMS params;
    CK_MECHANISM own = { CKM_AES_GCM, &params, sizeof params };

    if (is_hidden(a, c))
        return CKR_KEY_HANDLE_INVALID;
    if (s)
        s->iv_mode = 0;
    if (!s || !is_gcm(b) || !iv_mode(b))
        return real->C_EncryptInit(a, b, c);
    params = *(CK_GCM_PARAMS *)b->pParameter;
    s->iv_mode = iv_mode(b);
    s->iv_len = GET(W_IV_LEN);
    s->tag_len = params.ulTagBits / 8;
    s->caller_iv = params.pIv;
    if (s->iv_len > MAX_IV || getrandom(s->iv, s->iv_len, 0) != (ssize_t)s->iv_len)
        return CKR_GENERAL_ERROR;
    if (s->iv_mode == 1) {
        if (!params.pIv || params.ulIvLen < s->iv_len)
            return CKR_GENERAL_ERROR;
        memset(params.pIv, 0, params.ulIvLen);
    }
    params.pIv = s->iv;
    params.ulIvLen = s->iv_len;
    params.ulIvBits = 8 * s->iv_len;
    return real->C_EncryptInit(a, &own, c);
}

static CK_RV encrypt(CK_ULONG a, CK_BYTE *b, CK_ULONG c, CK_BYTE *d, CK_ULONG *e)
{
    struct session *s = session_of(a);
    CK_ULONG extra = s && s->iv_mode >= 2 ? s->iv_len : 0;
    CK_RV rv;

    if (is_too_long(c))
        return CKR_DATA_LEN_RANGE;
    if (extra && d) {
        if (*e < c + s->tag_len + extra) {
            *e = c + s->tag_len + extra;
            return CKR_BUFFER_TOO_SMALL;
        }
        *e -= extra;
    }
    rv = real->C_Encrypt(a, b, c, extra && d && s->iv_mode == 3 ? d + extra : d, e);
    if (rv != CKR_OK || !s || !s->iv_mode)
        return rv;
    if (d && s->iv_mode == 1)
        memcpy(s->caller_iv, s->iv, s->iv_len);
    if (d && s->iv_mode >= 2)
        memcpy(s->iv_mode == 3 ? d : d + *e, s->iv, extra);
    *e += extra;
    if (d)
        s->iv_mode = 0;
    return rv;
}

static CK_RV decrypt_init(CK_ULONG a, CK_MECHANISM *b, CK_ULONG c)
{
    struct session *s = session_of(a);
    const CK_GCM_PARAMS *params = is_gcm(b) ? b->pParameter : NULL;
    CK_MECHANISM standard;

    if (is_hidden(a, c))
        return CKR_KEY_HANDLE_INVALID;
    if (s)
        s->deferred = 0;
    if (!params)
        return real->C_DecryptInit(a, b, c);
    if (s && (!params->pIv || !params->ulIvLen) && iv_mode(b) >= 2) {
        free(s->aad);
        s->aad = malloc(params->ulAADLen + 1);
        if (!s->aad)
            return CKR_GENERAL_ERROR;
        if (params->ulAADLen)
            memcpy(s->aad, params->pAAD, params->ulAADLen);
        s->params = *params;
        s->params.pAAD = params->ulAADLen ? s->aad : NULL;
        s->key = c;
        s->iv_len = GET(W_IV_LEN);
        s->deferred = iv_mode(b);
        return CKR_OK;
    }
    standard = *b;
    standard.mechanism = CKM_AES_GCM;
    return real->C_DecryptInit(a, &standard, c);
}

static CK_RV decrypt(CK_ULONG a, CK_BYTE *b, CK_ULONG c, CK_BYTE *d, CK_ULONG *e)
{
    struct session *s = session_of(a);
    CK_MECHANISM own = { CKM_AES_GCM, NULL, sizeof(CK_GCM_PARAMS) };
    CK_BYTE *ciphertext = b;
    CK_RV rv;

    if (is_too_long(c))
        return CKR_ENCRYPTED_DATA_LEN_RANGE;
    if (!s || !s->deferred)
        return real->C_Decrypt(a, b, c, d, e);
    if (c < s->iv_len)
        return CKR_ENCRYPTED_DATA_LEN_RANGE;
    if (!d || *e < c) {
        *e = c;
        return d ? CKR_BUFFER_TOO_SMALL : CKR_OK;
    }
    s->params.pIv = s->deferred == 3 ? b : b + c - s->iv_len;
    s->params.ulIvLen = s->iv_len;
    s->params.ulIvBits = 8 * s->iv_len;
    own.pParameter = &s->params;
    ciphertext = s->deferred == 3 ? b + s->iv_len : b;
    s->deferred = 0;
    rv = real->C_DecryptInit(a, &own, s->key);
    return rv ? rv : real->C_Decrypt(a, ciphertext, c - s->iv_len, d, e);
}
