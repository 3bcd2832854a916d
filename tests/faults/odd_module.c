/* A PKCS#11 module that prints to standard output, as some vendors' do, and is SoftHSM otherwise; or that hangs.
 * The path of SoftHSM comes in at compile time: -DREAL_MODULE='"..."'. With -DHANGS it never comes back. */

#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

unsigned long C_GetFunctionList(void **list)
{
    void *real = dlopen(REAL_MODULE, RTLD_NOW | RTLD_LOCAL);
    unsigned long (*get)(void **) = real ? (unsigned long (*)(void **))dlsym(real, "C_GetFunctionList") : 0;

#ifdef HANGS
    for (;;)
        sleep(60);
#endif
    printf("Vendor PKCS#11 library 1.2.3, evaluation copy\n");
    fflush(stdout);
    return get ? get(list) : 5; /* CKR_GENERAL_ERROR */
}
