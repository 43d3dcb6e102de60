# What may go wrong around the library does: memory, disks and processes. The sanitizers have a malloc of their own.
if(XGRAD_SANITIZE)
  return()
endif()

file(GLOB works CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*_work.cpp)
add_executable(allocations fire/allocations.cpp fire/failing_malloc.cpp ${works})
target_link_libraries(allocations PRIVATE xgrad_flags xgrad::nn ${CMAKE_DL_LIBS})
if(TARGET xgrad_onnx)
  target_link_libraries(allocations PRIVATE xgrad::onnx)
endif()
add_test(NAME "fire: each allocation fails" COMMAND ${environment} $<TARGET_FILE:allocations>)
set_tests_properties("fire: each allocation fails" PROPERTIES TIMEOUT 300)
