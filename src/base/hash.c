/* hash.c - thin covers over libcrypto, plus the two small hashes it does not have. */
#include "base/hash.h"
#define OPENSSL_SUPPRESS_DEPRECATED /* see sha256_hex */
#include "base/err.h"
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void
hex_encode(const void *bytes, size_t n, char *ret_hex)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) {
        ret_hex[2 * i] = digits[p[i] >> 4];
        ret_hex[2 * i + 1] = digits[p[i] & 15];
    }
    ret_hex[2 * n] = '\0';
}

int
hex4_decode(const char *text, size_t n)
{
    int value = 0;
    if (n < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

void
sha256_hex(const void *bytes, size_t n, char ret_hex[SHA256_HEX])
{
    /* The interface from before OpenSSL's providers: the first digest by EVP loads all of them, a
     * tenth of what a short process does. Every process makes this one. */
    unsigned char sum[SHA256_DIGEST_LENGTH];
    SHA256_CTX ctx;
    SHA256_Init(&ctx);
    SHA256_Update(&ctx, bytes, n);
    SHA256_Final(sum, &ctx);
    hex_encode(sum, sizeof sum, ret_hex);
}

void
hmac_sha256_hex(const void *key, size_t key_len, const void *bytes, size_t n,
                char ret_hex[SHA256_HEX])
{
    unsigned char sum[32];
    unsigned len = sizeof sum;
    unsigned char *ok = HMAC(EVP_sha256(), key, (int)key_len, bytes, n, sum, &len);
    assert(ok && len == sizeof sum);
    (void)ok;
    hex_encode(sum, sizeof sum, ret_hex);
}

static uint32_t crc_table[256];
static uint64_t name_key[2];

/* Before main, so that no two threads can race to fill them. */
__attribute__((constructor)) static void
hash_setup(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? (c >> 1) ^ 0x82f63b78u : c >> 1;
        crc_table[i] = c;
    }
    if (getrandom(name_key, sizeof name_key, 0) != (ssize_t)sizeof name_key)
        abort();
}

static uint32_t
crc32c_table(uint32_t crc, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        crc = crc_table[(crc ^ p[i]) & 0xff] ^ (crc >> 8);
    return crc;
}

#if defined(__x86_64__)
/* The processor's own instruction (SSE 4.2) computes exactly this polynomial. */
__attribute__((target("sse4.2"))) static uint32_t
crc32c_machine(uint32_t crc, const unsigned char *p, size_t n)
{
    uint64_t wide = crc;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t eight;
        memcpy(&eight, p, 8);
        wide = __builtin_ia32_crc32di(wide, eight);
    }
    crc = (uint32_t)wide;
    for (; n; p++, n--)
        crc = __builtin_ia32_crc32qi(crc, *p);
    return crc;
}
#endif

uint32_t
crc32c(uint32_t crc, const void *bytes, size_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc32c_machine(~crc, bytes, n);
#endif
    return ~crc32c_table(~crc, bytes, n);
}

uint64_t
hash_fnv(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h ^ (h >> 32);
}

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define SIPROUND                                                                                   \
    do {                                                                                           \
        v0 += v1, v1 = ROTL(v1, 13), v1 ^= v0, v0 = ROTL(v0, 32);                                  \
        v2 += v3, v3 = ROTL(v3, 16), v3 ^= v2;                                                     \
        v0 += v3, v3 = ROTL(v3, 21), v3 ^= v0;                                                     \
        v2 += v1, v1 = ROTL(v1, 17), v1 ^= v2, v2 = ROTL(v2, 32);                                  \
    } while (0)

/* SipHash-1-3 (Aumasson and Bernstein): a keyed hash, short and safe against chosen names. */
uint64_t
hash_name(const char *s)
{
    uint64_t v0 = name_key[0] ^ 0x736f6d6570736575u, v1 = name_key[1] ^ 0x646f72616e646f6du;
    uint64_t v2 = name_key[0] ^ 0x6c7967656e657261u, v3 = name_key[1] ^ 0x7465646279746573u;
    size_t n = strlen(s), left = n;
    for (; left >= 8; s += 8, left -= 8) {
        uint64_t m;
        memcpy(&m, s, 8);
        v3 ^= m;
        SIPROUND;
        v0 ^= m;
    }
    uint64_t last = (uint64_t)n << 56;
    memcpy(&last, s, left);
    v3 ^= last;
    SIPROUND;
    v0 ^= last;
    v2 ^= 0xff;
    SIPROUND;
    SIPROUND;
    SIPROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

char *
base64_encode(const void *bytes, size_t n)
{
    assert(n < INT32_MAX / 2);
    char *out = xmalloc((n + 2) / 3 * 4 + 1);
    EVP_EncodeBlock((unsigned char *)out, bytes, (int)n);
    return out;
}

unsigned char *
base64_decode(const char *text, size_t n, size_t *ret_len)
{
    if (n % 4 || n >= INT32_MAX)
        return NULL;
    size_t pad = 0;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool digit = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '+' || c == '/';
        if (c == '=' && i + 2 >= n)
            pad++;
        else if (!digit || pad)
            return NULL;
    }
    unsigned char *out = xmalloc(n / 4 * 3 + 1);
    int len = EVP_DecodeBlock(out, (const unsigned char *)text, (int)n);
    if (len < 0 || (size_t)len < pad) {
        free(out);
        return NULL;
    }
    *ret_len = (size_t)len - pad;
    out[*ret_len] = '\0';
    return out;
}
