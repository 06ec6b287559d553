/* A driver that fails in a chosen way. Built by the test `driver` with macros that say which. */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION 12080
#endif
#ifndef INIT
#define INIT 0
#endif
#ifndef COUNT
#define COUNT 1
#endif
#ifndef MAJOR
#define MAJOR 9
#endif
#ifndef CONTEXT
#define CONTEXT 999
#endif

#ifndef EMPTY
int cuDriverGetVersion(int *version) { *version = VERSION; return 0; }
int cuInit(unsigned flags) {
#ifdef HANG
    for (;;) sleep(1000);
#endif
#ifdef CRASH
    *(volatile int *)0 = 1;
#endif
    (void)flags;
    return INIT;
}
int cuDeviceGetCount(int *count) { *count = COUNT; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char *name, int length, int device) { (void)device; strncpy(name, "Fake 9000", length); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = (size_t)1 << 33; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    *value = attribute == 75 ? MAJOR : attribute == 76 ? 1 : 0;
    return 0;
}
int cuGetErrorString(int error, const char **text) {
    *text = error == 100 ? "no CUDA-capable device is detected"
        : error == 803 ? "system has unsupported display driver / cuda driver combination"
        : error == 2 ? "out of memory" : "unknown error";
    return 0;
}
int cuGetErrorName(int error, const char **text) { (void)error; *text = "CUDA_ERROR"; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { (void)device; *context = (void *)1; return CONTEXT; }
int cuDevicePrimaryCtxRelease_v2(int device) { (void)device; return 0; }
int cuCtxSetCurrent(void *context) { (void)context; return 0; }
int cuCtxGetCurrent(void **context) { *context = (void *)0; return 0; }
int cuDevicePrimaryCtxRelease(int device) { (void)device; return 0; }
#endif
