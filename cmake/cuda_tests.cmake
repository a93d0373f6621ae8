# Tests that run once more with everything on the CUDA device (simulated, or a real one), and the simulator's own.
foreach(name test_ops_cuda test_attention_cuda)
  target_link_libraries(${name} PRIVATE ink_backend)
endforeach()
foreach(name ops ops_grad limits fuzz formulas promotion half halves integers nn norm loss rnn gpt optim module resume random_ops inplace autograd conv pool matmul einsum linalg
        softmax scan fft join shape_ops attention attention_kinds batch_invariant sparse_attention linear_attention performer lsh lowrank reversible gau
        flash_gau mixer autocast_layers pretrained lru hippo discretise recurrence matrix_state mamba mamba2 mamba3 ssm_kinds retention rwkv delta_net s4d s4 rtf diffusion_nets diffusion_losses score_matching mamba_limits diffusion sampler_equalities likelihood autocast precision grad_scaler)
  if(NOT TARGET test_${name})
    continue()
  endif()
  add_test(NAME test_${name}@cuda COMMAND test_${name})
  # sync: errors are thrown by the op that caused them, as on the CPU
  set_tests_properties(test_${name}@cuda PROPERTIES ENVIRONMENT "INK_DEVICE=cuda;INK_CUDA_SYNC=1" LABELS cuda)
endforeach()
set_tests_properties(test_cuda test_ops_cuda PROPERTIES LABELS cuda)
if(TARGET test_attention_cuda)
  set_tests_properties(test_attention_cuda PROPERTIES LABELS cuda)
endif()
if(INK_CUDA STREQUAL "SIM" AND NOT INK_SANITIZE)
  # Host code that touches device memory works in the simulator and crashes on a GPU: here it crashes too.
  foreach(name ops_cuda cuda gpt optim resume attention)
    add_test(NAME test_${name}@guard COMMAND test_${name})
    set_tests_properties(test_${name}@guard PROPERTIES ENVIRONMENT "INK_DEVICE=cuda;INK_CUDA_SYNC=1;INK_SIM_GUARD=1" LABELS cuda)
  endforeach()
endif()
if(INK_CUDA STREQUAL "SIM" AND EXISTS ${PROJECT_SOURCE_DIR}/cmake/sim_tests.cmake)
  include(${PROJECT_SOURCE_DIR}/cmake/sim_tests.cmake)
endif()
