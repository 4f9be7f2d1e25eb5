# The kernels' sources and what each of them must be compiled with. Include it, then add MLX_GEMMA_KERNEL_SOURCES to a
# target in the same directory scope.

set(_kernels ${CMAKE_CURRENT_LIST_DIR})
set(MLX_GEMMA_KERNEL_SOURCES
    ${_kernels}/activation.cpp
    ${_kernels}/amx.cpp
    ${_kernels}/argmax.cpp
    ${_kernels}/arrays.cpp
    ${_kernels}/attention.cpp
    ${_kernels}/attention_block.cpp
    ${_kernels}/centroid.cpp
    ${_kernels}/composed.cpp
    ${_kernels}/cores.cpp
    ${_kernels}/embedding.cpp
    ${_kernels}/experts.cpp
    ${_kernels}/feed_forward_block.cpp
    ${_kernels}/inputs.cpp
    ${_kernels}/isa.cpp
    ${_kernels}/isa_amx.cpp
    ${_kernels}/isa_avx2.cpp
    ${_kernels}/isa_avx512.cpp
    ${_kernels}/isa_portable.cpp
    ${_kernels}/key_groups.cpp
    ${_kernels}/kv_write.cpp
    ${_kernels}/layer_block.cpp
    ${_kernels}/layer_stack.cpp
    ${_kernels}/linear.cpp
    ${_kernels}/mlx_operations.cpp
    ${_kernels}/norm.cpp
    ${_kernels}/per_layer_inputs.cpp
    ${_kernels}/prepared_layer.cpp
    ${_kernels}/quantized.cpp
    ${_kernels}/rope.cpp
    ${_kernels}/sampling.cpp
    ${_kernels}/sampling_operations.cpp
    ${_kernels}/thread_pool.cpp
    ${_kernels}/weight_view.cpp)

# One order of operations and one rounding each, whatever the compiler thinks of a * b + c; and always optimized: these
# files are loops.
set(_exact -O3 -ffp-contract=off)
if(MLX_GEMMA_SANITIZE)
  list(APPEND _exact -O0) # with a check at each access GCC optimizes for minutes
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT CMAKE_OSX_ARCHITECTURES MATCHES "arm64")
  set(_avx2 -mavx2 -mfma -mf16c)
  set(_avx512 ${_avx2} -mavx512f -mavx512dq)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND _avx512 -Wno-maybe-uninitialized -Wno-uninitialized) # of GCC 12's own header
  endif()
endif()
file(GLOB MLX_GEMMA_KERNEL_ROW_SOURCES ${_kernels}/isa_*.cpp)
if(_avx512)
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag("-mamx-tile -mamx-bf16" MLX_GEMMA_COMPILER_HAS_AMX)
  if(MLX_GEMMA_COMPILER_HAS_AMX)
    set(_amx ${_avx512} -mavx512bw -mavx512vl -mamx-tile -mamx-bf16)
    add_compile_definitions(MLX_GEMMA_AMX)
  endif()
endif()
set_source_files_properties(${_kernels}/isa_portable.cpp PROPERTIES COMPILE_OPTIONS "${_exact}")
set_source_files_properties(${_kernels}/isa_avx2.cpp PROPERTIES COMPILE_OPTIONS "${_exact};${_avx2}")
set_source_files_properties(${_kernels}/isa_avx512.cpp PROPERTIES COMPILE_OPTIONS "${_exact};${_avx512}")
set_source_files_properties(${_kernels}/isa_amx.cpp PROPERTIES COMPILE_OPTIONS "${_exact};${_amx}")

set(MLX_GEMMA_KERNEL_TEST_SOURCES
    ${_kernels}/test/accuracy_test.cpp
    ${_kernels}/test/blocks_test.cpp
    ${_kernels}/test/check_rows.cpp
    ${_kernels}/test/experts_test.cpp
    ${_kernels}/test/kernels_test.cpp
    ${_kernels}/test/key_groups_test.cpp
    ${_kernels}/test/law_test.cpp
    ${_kernels}/test/planted.cpp
    ${_kernels}/test/pool_test.cpp
    ${_kernels}/test/products_test.cpp
    ${_kernels}/test/quantized_test.cpp
    ${_kernels}/test/sampling_test.cpp)
set(MLX_GEMMA_KERNEL_BENCH_SOURCES ${_kernels}/test/bench_context.cpp ${_kernels}/test/kernels_bench.cpp)
