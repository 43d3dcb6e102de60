# What may go wrong around the library does: memory, disks and processes. The sanitizers have a malloc of their own.
if(XGRAD_SANITIZE)
  return()
endif()

file(GLOB works CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*_work.cpp)
if(NOT TARGET xgrad_onnx)
  list(FILTER works EXCLUDE REGEX onnx)
endif()
add_executable(allocations fire/allocations.cpp fire/failing_malloc.cpp ${works} $<TARGET_OBJECTS:rows>)
target_compile_definitions(allocations PRIVATE XGRAD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
target_link_libraries(allocations PRIVATE xgrad_flags xgrad::nn $<TARGET_NAME_IF_EXISTS:xgrad::onnx> ${CMAKE_DL_LIBS})
add_test(NAME "fire: each allocation fails" COMMAND ${environment} $<TARGET_FILE:allocations>)
set_tests_properties("fire: each allocation fails" PROPERTIES TIMEOUT 300)

add_executable(trainer fire/trainer.cpp)
target_link_libraries(trainer PRIVATE xgrad_flags xgrad::nn)
add_test(NAME "fire: a run that is killed goes on with the same bits"
         COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/kill_run 10 $<TARGET_FILE:trainer>)

add_library(disk_shim MODULE fire/disk_shim.cpp)
target_link_libraries(disk_shim PRIVATE xgrad_flags ${CMAKE_DL_LIBS})
add_test(NAME "fire: a disk that fails leaves the older checkpoint whole"
         COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/disk_run $<TARGET_FILE:trainer> $<TARGET_FILE:disk_shim>)
set_tests_properties("fire: a disk that fails leaves the older checkpoint whole" PROPERTIES TIMEOUT 300)
