// INK_HD marks functions that run on both host and device; INK_INLINE those that must leave no symbol of their own,
// because kernel files compiled for different CPU levels share the header.
#pragma once

#if defined(__CUDACC__)
#define INK_HD __host__ __device__
#else
#define INK_HD
#endif
#define INK_INLINE inline __attribute__((always_inline))
