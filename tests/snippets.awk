# usage: awk [-v run=1] -f snippets.awk DOCUMENT.md   the ```cpp blocks of a document as one C++ source, to be compiled;
# with run=1 a program, which runs the statements of all sections
# A block with `int main(` is a whole program. A block that begins with a type, template, or function stands
# at namespace scope. All others are statements; those under one heading share a scope.

function flush_section() {
  if (declarations != "" || statements != "")
    body = body "namespace section_" ++sections " {\n" declarations "void run() {\n" statements "}\n}\n"
  declarations = statements = ""
}

/^#+ / && !inside { flush_section() }

/^```cpp$/ && !inside {
  inside = 1
  program = 0
  first = text = ""
  start = "#line " NR + 1 " \"" FILENAME "\"\n"
  next
}

/^```$/ && inside {
  inside = 0
  if (program)
    body = body "namespace program_" ++programs " {\n" start text "}\n"
  else if (first ~ /^(struct|class|template|enum|namespace|using namespace) / || first ~ /^[A-Za-z_:<>&]+ [a-z_]+\(.*\) \{/ \
           || first ~ /^const auto [a-z_]+ = ag::elementwise/)
    declarations = declarations start text
  else
    statements = statements start text
  next
}

inside && /^#include/ { if (!($0 in seen)) { seen[$0]; includes = includes $0 "\n" }; text = text "\n"; next }
inside {
  if (sub(/int main\(/, "[[maybe_unused]] int program(")) program = 1
  if (first == "" && $0 !~ /^(\/\/|$)/) first = $0
  text = text $0 "\n"
}

END {
  flush_section()
  print "#pragma GCC diagnostic ignored \"-Wreturn-type\""
  print "#pragma GCC diagnostic ignored \"-Wunused\""
  print "#include <autograd/autograd.hpp>\n#include <nn/nn.hpp>\n#include <fmt/core.h>"
  print includes "namespace ag = autograd;\n" body
  if (!run) exit
  print "int main() {"
  for (i = 1; i <= sections; ++i) print "  section_" i "::run();"
  print "}"
}
