# usage: awk -v format=text|json|markdown -v machine=TEXT -v date=DATE -f report.awk goals measured
# Lines of `measured` are "SIDE ROW VALUE UNIT"; the least value of a side and row counts.

function trim(s) { gsub(/^ +| +$/, "", s); return s }
function fraction(s,   parts) { return split(s, parts, "/") == 2 ? parts[1] / parts[2] : s + 0 }

FNR == NR {
  if (/^#/ || !NF) next
  split($0, field, "|")
  split(trim(field[2]), goal, " ")
  pattern[++patterns] = "^" trim(field[1]) "$"
  against[patterns] = goal[1]
  limit[patterns] = goal[2]
  if (trim(field[3]) != "") { title[patterns] = trim(field[3]); titled[++titles] = trim(field[1]) }
  next
}
{
  if (!($2 in unit)) { unit[$2] = $4; row[++rows] = $2 }
  if (!(($2, $1) in least) || $3 + 0 < least[$2, $1]) least[$2, $1] = $3 + 0
}

# The rows of other sides that a replayed step compares with are those of the eager one, and others have one way only to
# write a formula.
function eager(name) { sub(/_replay/, "", name); return name }
function theirs(name) { sub(/_fused/, "_composed", name); return eager(name) }
function has(name, side) { return ((name, side) in least) }
function value(name, side,   a, b) {
  if (side == "value") side = "xgrad"
  if (side == "xgrad" || side == "one_thread") return has(name, side) ? least[name, side] : 0
  if (side == "eager") return value(eager(name), "xgrad")
  name = theirs(name)
  if (side != "hand") return has(name, side) ? least[name, side] : 0
  a = value(name, "openblas")
  b = value(name, "onednn")
  return a && (!b || a < b) ? a : b
}
function ratio(name, side,   peer) {
  peer = value(name, side)
  return peer && has(name, "xgrad") ? value(name, "xgrad") / peer : 0
}
function goal_of(name,   i) {
  for (i = 1; i <= patterns; ++i) if (name ~ pattern[i]) return i
  return 0
}
# 1 or 0; -1 where there is no goal, or nobody to compare with.
function met(name,   i, reached) {
  i = goal_of(name)
  if (!i || against[i] == "") return -1
  reached = against[i] == "value" ? value(name, "xgrad") : ratio(name, against[i])
  return reached ? reached <= fraction(limit[i]) : -1
}

# ---------------------------------------------------------------- how numbers are written

function number(v) { return !v ? "-" : v >= 100 ? sprintf("%.0f", v) : sprintf("%.3g", v) }
# 1/35, 1/1.3, 0.98, 1.20
function times(r) {
  if (!r) return "-"
  if (r > 0.9) return sprintf("%.2f", r)
  return sprintf(r < 0.1 ? "1/%.0f" : "1/%.1f", 1 / r)
}
function goal_text(name,   i, text) {
  i = goal_of(name)
  if (!i || against[i] == "") return ""
  if (name ~ /^gemm/) text = sprintf(">= %.0f %% of the best", 100 / fraction(limit[i]))
  else if (against[i] == "value") text = "<= " limit[i]
  else text = "<= " limit[i] " " word[against[i]]
  return sprintf("%-20s %s", text, met(name) < 0 ? "?" : met(name) ? "met" : "NOT MET")
}
function gflops(name, side,   size) {
  if (!value(name, side)) return "-"
  split(name, size, "/")
  return sprintf("%.0f", 2 * size[2] * size[3] * size[4] / value(name, side) / 1000)
}
# ---------------------------------------------------------------- text

function section(name) {
  if (name ~ /^two_threads\//) return "two threads"
  if (name ~ /^gemm\//) return "GEMM"
  if (value(name, "python")) return "Python"
  if (unit[name] == "us") return "times"
  return name ~ /\// ? "costs" : "program"
}
function line(name, xgrad, libtorch, faster, peer1, peer2, slower, goal) {
  printf "%-24s %9s %9s %7s %9s %9s %7s  %s\n", name, xgrad, libtorch, faster, peer1, peer2, slower, goal
}
function heading(kind) {
  print ""
  if (kind == "times")
    line("one thread, us", "xgrad", "LibTorch", "ratio", "OpenBLAS", "oneDNN", "ratio", "goal")
  else if (kind == "Python")
    line("one thread, us", "xgrad", "LibTorch", "ratio", "Python", "", "ratio", "goal")
  else if (kind == "GEMM")
    line("GEMM m/n/k, GFLOP/s", "xgrad", "", "", "OpenBLAS", "oneDNN", "percent", "goal")
  else if (kind == "two threads")
    line("two threads, us", "xgrad", "LibTorch", "ratio", "Python", "1 thread", "ratio", "goal")
  else if (kind == "program")
    line("a small program", "xgrad", "LibTorch", "ratio", "", "", "", "goal")
}
function text_row(name, kind,   xgrad, libtorch, faster, shown) {
  xgrad = number(value(name, "xgrad"))
  libtorch = number(value(name, "libtorch"))
  faster = times(ratio(name, "libtorch"))
  shown = substr(name, index(name, "/") + 1)
  if (kind == "times")
    line(name, xgrad, libtorch, faster, number(value(name, "openblas")),
         number(value(name, "onednn")), times(ratio(name, "hand")), goal_text(name))
  else if (kind == "GEMM")
    line(shown, gflops(name, "xgrad"), "", "", gflops(name, "openblas"), gflops(name, "onednn"),
         ratio(name, "hand") ? sprintf("%.0f", 100 / ratio(name, "hand")) : "-", goal_text(name))
  else if (kind == "Python")
    line(name, xgrad, libtorch, faster, number(value(name, "python")), "",
         times(ratio(name, "python")), goal_text(name))
  else if (kind == "two threads")
    line(shown, xgrad, libtorch, faster, number(value(name, "python")), number(value(name, "one_thread")),
         times(ratio(name, "one_thread")), goal_text(name))
  else if (kind == "program")
    line(name ", " unit[name], xgrad, libtorch, faster, "", "", "", goal_text(name))
  else
    printf "%-42s %9s %-10s %s\n", name, xgrad, unit[name], goal_text(name)
}
function text(   i, k, kinds, count, begun) {
  print date ", " machine
  count = split("times,Python,GEMM,two threads,program,costs", kinds, ",")
  for (k = 1; k <= count; ++k) {
    begun = 0
    for (i = 1; i <= rows; ++i) {
      if (section(row[i]) != kinds[k]) continue
      if (!begun++) heading(kinds[k])
      text_row(row[i], kinds[k])
    }
  }
}

# ---------------------------------------------------------------- JSON and Markdown

function json_value(v) { return v ? sprintf("%.6g", v) : "null" }
function json(   i, name, g) {
  printf "{\"date\": \"%s\", \"machine\": \"%s\", \"results\": [\n", date, machine
  for (i = 1; i <= rows; ++i) {
    name = row[i]
    printf "  {\"name\": \"%s\", \"unit\": \"%s\", \"xgrad\": %s, \"libtorch\": %s, ", name,
           unit[name], json_value(value(name, "xgrad")), json_value(value(name, "libtorch"))
    printf "\"openblas\": %s, \"onednn\": %s, \"python\": %s, \"one_thread\": %s, ",
           json_value(value(name, "openblas")), json_value(value(name, "onednn")),
           json_value(value(name, "python")), json_value(value(name, "one_thread"))
    g = goal_of(name)
    if (g && against[g] != "")
      printf "\"goal\": {\"against\": \"%s\", \"at_most\": %.6g, \"met\": %s}}", against[g],
             fraction(limit[g]), met(name) < 0 ? "null" : met(name) ? "true" : "false"
    else
      printf "\"goal\": null}"
    print i < rows ? "," : ""
  }
  print "]}"
}
function cell(v) { return v ? " " number(v) " |" : " |" }
function cells(name, side) {
  return cell(value(name, side)) (value(name, side) ? " " times(ratio(name, side)) " |" : " |")
}
function markdown(   i, name, two) {
  print "| one thread, µs | xgrad | LibTorch | ratio | Python | ratio | by hand | two threads | LibTorch | ratio |"
  print "|---|---|---|---|---|---|---|---|---|---|"
  for (i = 1; i <= titles; ++i) {
    name = titled[i]
    two = "two_threads/" name
    if (!has(name, "xgrad")) continue
    print "| " title[goal_of(name)] " |" cell(value(name, "xgrad")) cells(name, "libtorch") cells(name, "python") \
          cell(value(name, "hand")) cell(value(two, "xgrad")) cells(two, "libtorch")
  }
}
END {
  word["libtorch"] = "LibTorch"
  word["python"] = "Python's"
  word["hand"] = "x by hand"
  word["one_thread"] = "x one thread"
  word["eager"] = "eager"
  if (format == "json") json()
  else if (format == "markdown") markdown()
  else text()
}
