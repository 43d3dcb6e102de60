# Sums up an lcov file by folder; see tests/coverage.
function percent(part, whole) { return whole ? sprintf("%5.1f %%", 100 * part / whole) : "      -" }
function report(name, l, lh, b, bh) {
  return sprintf("%-28s %s of %6d lines  %s of %6d branches", name, percent(lh, l), l, percent(bh, b), b)
}
function end_range() {
  if (first) missed[file] = missed[file] (first == last ? " " first : " " first "-" last)
  first = 0
}
/^SF:/ {
  file = substr($0, 4)
  sub("^" root, "", file)
  folder = file
  sub("/[^/]*$", "", folder)
  files[++n] = file
  folders[folder] = 1
}
/^DA:/ {
  split(substr($0, 4), da, ",")
  if (da[2] == 0) {
    if (!first) first = da[1]
    last = da[1]
  } else end_range()
}
/^LF:/ { lines[folder] += substr($0, 4); all_lines += substr($0, 4) }
/^LH:/ { hit[folder] += substr($0, 4); all_hit += substr($0, 4) }
/^BRF:/ { branches[folder] += substr($0, 5); all_branches += substr($0, 5) }
/^BRH:/ { taken[folder] += substr($0, 5); all_taken += substr($0, 5) }
/^end_of_record/ { end_range() }
END {
  for (folder in folders)
    print report(folder, lines[folder], hit[folder], branches[folder], taken[folder]) | "sort"
  close("sort")
  print report("all", all_lines, all_hit, all_branches, all_taken)
  if (want_lines == "--lines")
    for (i = 1; i <= n; ++i)
      if (missed[files[i]]) printf "%s:%s\n", files[i], missed[files[i]]
}
