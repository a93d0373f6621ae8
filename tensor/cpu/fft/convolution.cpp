// Causal convolution of rows of real numbers by FFT, y_t = sum over j <= t of k_j u_{t-j}, and its two adjoints.
//
// A product of polynomials modulo z^N + i, N >= n, is the convolution c of 2 N terms with its upper half turned to the
// imaginary axis: c_t - i c_{t+N}. The real part of a transform of N complex numbers is all that is needed: nothing is
// padded to twice the length (right-angle convolution; Crandall & Fagin 1994). The roots of z^N = -i are those of 1
// times exp(-pi i / (2 N)): numbers are multiplied by powers of it before, and by the conjugates after. A spectrum need
// not stand in order, so what Bailey's split transposes for order alone is left out.
#include "tensor/cpu/elementwise/transpose.h"
#include "tensor/cpu/fft/fft_stage.h"
#include "tensor/cpu/pack/pack_split.h"
#include "tensor/cpu/scratch.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

// The transform of one row, in two halves: down the columns of a matrix [rows][columns] of N numbers, then along its
// rows, `lanes` of them at a time. Between the halves the matrix stands transposed.
template <class T> class RowTransform {
  static constexpr int L = kLanes<T>;
  using P = Pack<T, L>;
  using C = Cx<T>;

  const ConvolutionPlan<T>& plan_;
  const FftPlan<T>& fft_;
  Arrays<T> mid_, block_;  // mid_.a is the matrix between the halves, mid_.b room for a spectrum

 public:
  const int64_t rows, columns, pitch, length;

  static int64_t values(const FftPlan<T>& f) {
    return Arrays<T>::values(f.columns * (f.rows + L)) +
           Arrays<T>::values((f.rows > f.columns ? f.rows : f.columns) * L);
  }
  RowTransform(const ConvolutionPlan<T>& plan, T* memory)
      : plan_(plan),
        fft_(*plan.fft),
        mid_(memory, fft_.columns * (fft_.rows + L)),
        block_(memory + Arrays<T>::values(fft_.columns * (fft_.rows + L)),
               (fft_.rows > fft_.columns ? fft_.rows : fft_.columns) * L),
        rows(fft_.rows),
        columns(fft_.columns),
        pitch(fft_.rows + L),
        length(fft_.n) {}

  // The first half for x[n]; beyond n x is 0.
  void begin(const T* x, int64_t n) {
    for (int64_t j = 0; j < columns; j += L) {
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t at = i * columns + j;
        const T* w = plan_.twist + at;
        const P v = load_up_to<L>(x + at, n - at);
        C{v * P::load(w), v * P::load(w + length)}.store(block_.a, i * L);
      }
      const Parts<T> down = transform_columns(*fft_.down, block_.a, block_.b, L);
      for (int64_t k = 0; k < rows; k += L) {
        P re[L], im[L];
        for (int l = 0; l < L; ++l) {
          const T* cross = fft_.cross + (k + l) * columns + j;
          const C v = C::load(down, (k + l) * L) * C{P::load(cross), P::load(cross + length)};
          re[l] = v.re, im[l] = v.im;
        }
        transpose_square(re);
        transpose_square(im);
        for (int l = 0; l < L; ++l) C{re[l], im[l]}.store(mid_.a, (j + l) * pitch + k);
      }
    }
  }
  // The second half: the spectrum's entries [columns][lanes] of block k / L.
  Parts<T> block(int64_t k) {
    for (int64_t i = 0; i < columns; ++i) C::load(mid_.a, i * pitch + k).store(block_.a, i * L);
    return transform_columns(*fft_.along, block_.a, block_.b, L);
  }
  // The inverse of the second half, from a block of the spectrum that stands in x.
  void put_block(Parts<T> x, int64_t k) {
    const Parts<T> other = x.re == block_.a.re ? block_.b : block_.a;
    const Parts<T> y = exchanged(transform_columns(*fft_.along, exchanged(x), exchanged(other), L));
    for (int64_t i = 0; i < columns; ++i) C::load(y, i * L).store(mid_.a, i * pitch + k);
  }
  // The inverse of the first half: real parts, n of them.
  void end(T* y, int64_t n) {
    const P scale(T(1) / T(length));
    for (int64_t j = 0; j < columns; j += L) {
      for (int64_t k = 0; k < rows; k += L) {
        P re[L], im[L];
        for (int l = 0; l < L; ++l) {
          const C v = C::load(mid_.a, (j + l) * pitch + k);
          re[l] = v.re, im[l] = v.im;
        }
        transpose_square(re);
        transpose_square(im);
        for (int l = 0; l < L; ++l) {
          const T* cross = fft_.cross + (k + l) * columns + j;
          (C{re[l], im[l]} * C{P::load(cross), -P::load(cross + length)}).store(block_.a, (k + l) * L);
        }
      }
      const Parts<T> v = exchanged(transform_columns(*fft_.down, exchanged(block_.a), exchanged(block_.b), L));
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t at = i * columns + j;
        if (at >= n) break;
        const T* w = plan_.twist + at;
        const C z = C::load(v, i * L);
        store_up_to(muladd(z.re, P::load(w), z.im * P::load(w + length)) * scale, y + at, n - at);
      }
    }
  }
  // A place for a spectrum, block after block.
  Parts<T> spectrum() const { return mid_.b; }
  Parts<T> free_block() const { return block_.a; }
};

template <class T> INK_INLINE Parts<T> at(Parts<T> x, int64_t i) { return {x.re + i, x.im + i}; }

// The spectrum of x[n], block after block.
template <class T> void transform_row(RowTransform<T>& t, const T* x, int64_t n, Parts<T> spectrum) {
  constexpr int L = kLanes<T>;
  t.begin(x, n);
  for (int64_t k = 0; k < t.rows; k += L) {
    const Parts<T> z = t.block(k);
    for (int64_t i = 0; i < t.columns * L; i += L) Cx<T>::load(z, i).store(spectrum, k * t.columns + i);
  }
}

// y = u * kernel, or, with the kernel's spectrum conjugated (the kernel read backwards), the adjoint.
template <class T> void convolve_rows(const FftConvolutionArgs& a, T* y, const T* x, const T* kernel, bool backwards) {
  constexpr int L = kLanes<T>;
  const ConvolutionPlan<T>& plan = convolution_plan<T>(a.n);
  // a channel's rows after each other, for which its kernel is transformed once
  parallel_for(a.channels * a.batch, a.batch < 16 ? a.batch : 16, [&](int64_t begin, int64_t end) {
    Scratch<T> memory(RowTransform<T>::values(*plan.fft));
    RowTransform<T> t(plan, memory.data());
    const Parts<T> spectrum = t.spectrum();
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i / a.batch, row = ((i % a.batch) * a.channels + c) * a.n;
      if (i == begin || i % a.batch == 0) transform_row(t, kernel + c * a.taps, a.taps, spectrum);
      t.begin(x + row, a.n);
      for (int64_t k = 0; k < t.rows; k += L) {
        const Parts<T> z = t.block(k), w = at(spectrum, k * t.columns);
        if (backwards)
          for (int64_t j = 0; j < t.columns * L; j += L) (Cx<T>::load(z, j) * Cx<T>::load(w, j).conj()).store(z, j);
        else
          for (int64_t j = 0; j < t.columns * L; j += L) (Cx<T>::load(z, j) * Cx<T>::load(w, j)).store(z, j);
        t.put_block(z, k);
      }
      t.end(y + row, a.n);
    }
  });
}

// dkernel_j = sum over the batch and t of dy_{t+j} u_t: products of spectra are summed, one inverse a channel.
template <class T> void correlate_rows(const FftConvolutionArgs& a, T* dkernel, const T* dy, const T* u) {
  constexpr int L = kLanes<T>;
  const ConvolutionPlan<T>& plan = convolution_plan<T>(a.n);
  parallel_for(a.channels, 1, [&](int64_t begin, int64_t end) {
    const int64_t own = RowTransform<T>::values(*plan.fft);
    Scratch<T> memory(own + Arrays<T>::values(plan.fft->n));
    RowTransform<T> t(plan, memory.data());
    const Parts<T> g = t.spectrum(), sum = Arrays<T>(memory.data() + own, plan.fft->n).a;
    for (int64_t c = begin; c < end; ++c) {
      for (int64_t b = 0; b < a.batch; ++b) {
        const int64_t row = (b * a.channels + c) * a.n;
        transform_row(t, dy + row, a.n, g);
        t.begin(u + row, a.n);
        for (int64_t k = 0; k < t.rows; k += L) {
          const Parts<T> z = t.block(k), to = at(sum, k * t.columns), w = at(g, k * t.columns);
          for (int64_t j = 0; j < t.columns * L; j += L) {
            const Cx<T> p = Cx<T>::load(w, j) * Cx<T>::load(z, j).conj();
            (b == 0 ? p : Cx<T>::load(to, j) + p).store(to, j);
          }
        }
      }
      for (int64_t k = 0; k < t.rows; k += L) {
        const Parts<T> z = t.free_block(), from = at(sum, k * t.columns);
        for (int64_t j = 0; j < t.columns * L; j += L) Cx<T>::load(from, j).store(z, j);
        t.put_block(z, k);
      }
      t.end(dkernel + c * a.taps, a.taps);
    }
  });
}

template <class T> void convolve(const FftConvolutionArgs& args, void* out, const void* a, const void* b) {
  T* to = static_cast<T*>(out);
  const T *x = static_cast<const T*>(a), *y = static_cast<const T*>(b);
  if (args.which == FftConvolution::backward_kernel)
    correlate_rows(args, to, x, y);
  else
    convolve_rows(args, to, x, y, args.which == FftConvolution::backward_input);
}

}  // namespace

bool fft_convolution(const FftConvolutionArgs& args, void* out, const void* a, const void* b) {
  args.dtype == DType::f32 ? convolve<float>(args, out, a, b) : convolve<double>(args, out, a, b);
  return true;
}

}  // namespace ink::INK_CPU_LEVEL
