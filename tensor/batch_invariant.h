// Products and attention whose rows do not depend on what else is computed in the same call.
#pragma once

namespace ink {

// While it lives, on the thread that made it: `BatchInvariant guard;`. A decoder that checks many candidate tokens in
// one forward pass then gets, bit for bit, what it would have got from one token after the other; a served request does
// not depend on the batch in which it came. It holds for forward passes in f32, f64, f16 and bf16:
//
// * linear, matmul, bmm, addmm, and what is made of them: row i of A B follows from row i of A and from B alone. The
//   other rows, their number, the batch and the number of threads change no bit. (B's layout does: a matrix stored by
//   rows is summed in another order than one stored by columns, and another type of machine may sum otherwise.)
// * scaled_dot_product_attention: the result of a query follows from that query and from the keys and values that it
//   sees, in their order. Hidden keys between them, other queries, the batch and block sizes change no bit. Biases by
//   position (AttentionOptions::slopes) go by the distances of the columns as they stand. Refused with NotSupported:
//   dropout, whose draws belong to places, and AttentionAlgorithm::naive, which sums hidden keys too.
//
// Norms, softmax, elementwise ops and embeddings work row by row in any case. Convolutions, reductions over the batch,
// complex products and backward passes are as they are without it.
//
// What it costs: products use kernels of Inkstone's own in place of a BLAS library, which sums in an order that depends
// on the number of rows. A few rows are as fast as without it, hundreds of rows take up to twice as long on a CPU, and
// more on a CUDA device, where tensor cores are not used; docs/performance.md has figures. Guards may be nested.
class BatchInvariant {
 public:
  BatchInvariant();
  ~BatchInvariant();
  BatchInvariant(const BatchInvariant&) = delete;
  BatchInvariant& operator=(const BatchInvariant&) = delete;

 private:
  bool before_;
};
// Whether a guard lives on this thread.
bool batch_invariant();

}  // namespace ink
