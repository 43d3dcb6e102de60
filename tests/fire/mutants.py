#!/usr/bin/env python3
"""usage: python3 tests/fire/mutants.py [N [SEED [FILE…]]]

Changes the core in N places (default 80), one at a time, and says which changes no test notices. Needs the programs of
tests in a build of the preset release, which stays as it is.

A changed line keeps what it was beside what it is now, and the variable XGRAD_MUTANT chooses: so each file is compiled once
for all its mutants (with -O1), each library linked once, and a mutant costs the tests that it runs. Those of its own folder
come first, the quick ones before the others, the first failure ends it. Tests are added up to XGRAD_SECONDS (default 30, as
measured once without mutants); with XGRAD_JOBS=n that many mutants run at once.

The sample: each part of PARTS gives as many mutants as the others, by SEED at most XGRAD_PER_FILE (default 8) of a file and
one of a line, files with many places first. Left out are drawings, installed headers, headers that many files include, and
lines that are a piece of a statement unless the change is a number or a bool. What equivalent_mutants.txt lists, with the
reason, is not counted.
"""

import concurrent.futures
import json
import os
import pathlib
import random
import re
import resource
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"
SCRATCH = BUILD / "mutants"
LIMIT = float(os.environ.get("XGRAD_SECONDS", "30"))
PER_FILE = int(os.environ.get("XGRAD_PER_FILE", "8"))
DRAWINGS = "layered|graph|picture|describe"  # no part of what is computed
CCACHE = [tool] if (tool := shutil.which("ccache")) else []
INCLUDERS = 4  # of a header, at most
# Parts of the core, by how their paths begin; the library, and the folder of their tests.
PARTS = {
    ("autograd/tape/walk", "autograd/tape/internal/walk", "autograd/tape/push"): ("autograd", "tests/autograd/tape/"),
    ("autograd/tape/",): ("autograd", "tests/autograd/tape/"),
    ("autograd/elementwise/",): ("autograd", "tests/autograd/elementwise/"),
    ("autograd/ir/",): ("autograd", "tests/autograd/ir/"),
    ("nn/optim/",): ("nn", "tests/nn/optim/"),
}
# What is changed into what.
OPERATORS = {
    "==": ["!="], "!=": ["=="], "<": ["<=", ">="], ">": [">=", "<="], "<=": ["<", ">"], ">=": [">", "<"],
    "&&": ["||"], "||": ["&&"], "+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "+=": ["-="], "-=": ["+="],
    "++": ["--"], "--": ["++"], "true": ["false"], "false": ["true"],
}  # fmt: skip
TOKEN = re.compile(
    r' (==|!=|<=|>=|<|>|&&|\|\||\+=|-=|\+|-|\*|/) |(\+\+|--)(?=\w)|\b(true|false)\b|(?<![\w."])(\d+)(?![\w."\'])'
)
NO_CODE = re.compile(
    r"//|#|/\*|\*|static_assert|template|using|namespace|fail\(|static constexpr|constexpr|constinit|requires|.*__builtin_|.*if constexpr"
)
CONDITION = re.compile(r"(\s*(?:\} )?(?:else )?(?:if|while) \()(.*)(\)(?: \[\[\w+\]\])? (?:\{|[^()\s].*;))$")
FOR = re.compile(r"(\s*for \([^;:]*; )([^;]*)(; )([^;]*)(\) .*)$")
DECLARATION = re.compile(r"(\s*(?:static )?(?:const )?[\w:]+(?:<[^=]*>)?[&*]* (?:const )?\w+ = )([^\[{]*);$")
STATEMENT = re.compile(r"(?!if |for |while |else|return|break|continue|case|throw|[^\s(=]+ \w|[\w:]+<.*> \w)[\w:*+(].*;$")


def balanced(text):
    return text.count("(") == text.count(")") and text.count("{") == text.count("}")


def switch(mutant, changed, original):
    return f"xgrad_mutant == {mutant} ? {changed} : {original}"


def switched(line, column, length, new, mutant, begins):
    """The line with both forms of it, or None. `begins`: a statement may begin here."""

    def change(begin, end):
        return line[begin:column] + new + line[column + length : end]

    def within(m, group):
        return m and m.start(group) <= column and column + length <= m.end(group) and balanced(m.group(group))

    m = CONDITION.match(line)
    if within(m, 2) and not re.search(r" = |;", m.group(2)):
        return m.group(1) + switch(mutant, f"bool({change(*m.span(2))})", f"bool({m.group(2)})") + m.group(3)
    if m and balanced(m.group(2)) and column >= m.end(2) and line.endswith(";"):
        start = m.end(2) + re.match(r"\)(?: \[\[\w+\]\])? ", m.group(3)).end()
    elif m := FOR.match(line):
        for group in (2, 4):
            if within(m, group):
                kind = "bool" if group == 2 else "void"
                both = switch(mutant, f"{kind}({change(*m.span(group))})", f"{kind}({m.group(group)})")
                return line[: m.start(group)] + both + line[m.end(group) :]
        start = None
    else:
        start = len(line) - len(line.lstrip()) if begins else None
    if start is not None and column >= start and line.endswith(";") and balanced(line[start:]):
        old, both = line[start:], change(start, None)
        if old.startswith("return ") or STATEMENT.match(old):
            return f"{line[:start]}{{ if (xgrad_mutant == {mutant}) {{ {both} }} else {{ {old} }} }}"
        if begins and within(m := DECLARATION.match(line), 2) and " = " not in m.group(2):
            return m.group(1) + switch(mutant, f"({change(*m.span(2))})", f"({m.group(2)})") + ";"
    if new.isdigit() or new in ("true", "false"):
        return line[:column] + "(" + switch(mutant, new, line[column : column + length]) + ")" + line[column + length :]
    return None


def mutants_of(path):
    """Every (number of the line, column, length, replacement) of a file that can be switched."""
    before = ";"
    for number, line in enumerate((ROOT / path).read_text().splitlines()):
        code = re.sub(r'"(\\.|[^"\\])*"', lambda m: "_" * len(m.group()), line.split("  //")[0]).rstrip()
        bare = code.strip()
        if not bare or bare.startswith("//"):
            continue
        begins, before = before[-1] in ";{}:", bare
        if NO_CODE.match(bare):
            continue
        found = []
        for m in TOKEN.finditer(code):
            old = m.group(m.lastindex)
            if old in "<>" and re.search(r"template|_cast", code):
                continue
            for new in OPERATORS.get(old) or [str(int(old) + 1)]:
                found.append((m.start(m.lastindex), len(old), new))
        if (m := CONDITION.match(code)) and not m.group(3).endswith("{"):
            found += [(m.start(2), len(m.group(2)), value) for value in ("true", "false")]
        if begins and STATEMENT.match(bare) and balanced(bare) and not bare.endswith("= default;"):
            found.append((len(code) - len(code.lstrip()), len(bare), ";"))
        for column, length, new in found:
            if switched(code, column, length, new, 0, begins):
                yield number, column, length, new, begins


def said(path, mutant):
    number, column, length, new, _ = mutant
    line = (ROOT / path).read_text().splitlines()[number]
    return f"{line.strip()}  →  {(line[:column] + new + line[column + length :]).strip()}"


def commands():
    """The commands of the libraries, by their objects: of files with one for each instruction set that which runs here."""
    found = {}
    isa = ["baseline", "avx2", "avx512"]
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    here = isa[2 if "avx512dq" in flags else 1 if "avx2" in flags else 0]
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        words = shlex.split(entry["command"])
        words = words[next(i for i, w in enumerate(words) if re.search(r"(g|c|clang)\+\+[-\d]*$", w)) :]
        target = words[words.index("-o") + 1]
        if not target.startswith(("CMakeFiles/xgrad_autograd", "CMakeFiles/xgrad_nn")):
            continue
        if "/isa/" in target and f"_{here}.dir" not in target:
            continue
        found[target] = words
    return found


def included(target):
    """What an object was compiled from."""
    depends = BUILD / (target + ".d")
    text = depends.read_text() if depends.exists() else ""
    return set(re.findall(r"\b(?:autograd|nn)/[\w/]+\.[ch]pp", text))


def sample(number, seed, files, sources):
    """The mutants: (path, part, mutant), and how many there are to choose from."""
    chance = random.Random(seed)
    includers = {}
    for target in sources:
        for path in included(target):
            includers[path] = includers.get(path, 0) + 1
    chosen, every, seen = [], 0, set()
    parts = {begin: [] for begin in PARTS}
    for path in sorted(includers):
        if not path.endswith(".cpp") and (includers[path] > INCLUDERS or not re.search("/(internal|isa|ir)/", path)):
            continue
        if files and path not in files or re.search(DRAWINGS, path):
            continue
        for begin in PARTS:
            if path.startswith(begin) and path not in seen:
                parts[begin].append(path)
                seen.add(path)
    parts = {begin: paths for begin, paths in parts.items() if paths}
    for begin, paths in parts.items():
        places = {}
        for path in paths:
            of_file = list(mutants_of(path))
            every += len(of_file)
            chance.shuffle(of_file)
            places[path] = list({m[0]: m for m in of_file}.values())
        order = sorted(paths, key=lambda p: -(chance.random() ** (1 / max(len(places[p]), 1))))
        of_part = [(path, PARTS[begin], m) for path in order for m in places[path][:PER_FILE]]
        chosen += of_part[: -(-number // len(parts))]
    return chosen, every


def compiled(target, words, changes, out):
    """Compiles an object from changed copies; removes the mutants whose lines do not compile. Whether there is an object."""
    source = words[words.index("-c") + 1]
    while True:
        for path, mutants in changes.items():
            lines = (ROOT / path).read_text().splitlines()
            for k, (number, column, length, new, begins) in mutants.items():
                code = lines[number].split("  //")[0].rstrip()
                lines[number] = switched(code, column, length, new, k, begins)
            (SCRATCH / path).parent.mkdir(parents=True, exist_ok=True)
            (SCRATCH / path).write_text("\n".join(lines) + "\n")
        copy = SCRATCH / pathlib.Path(source).relative_to(ROOT)
        command = [*CCACHE, words[0], f"-I{SCRATCH}", "-include", str(SCRATCH / "mutant.hpp"), *words[1:], "-O1", "-w", "-Wno-error"]
        command += ["-Wno-narrowing", "-fdiagnostics-color=never"]
        command[command.index("-o") + 1] = str(out)
        command[command.index("-c") + 1] = str(copy if copy.exists() else source)
        done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True)
        if done.returncode == 0:
            return True
        wrong = set(re.findall(r"([^\s/]+):(\d+):\d+: (?:error|  required)", done.stderr))
        before = sum(map(len, changes.values()))
        for path, mutants in changes.items():
            for k in [k for k, m in mutants.items() if (pathlib.Path(path).name, str(m[0] + 1)) in wrong]:
                print(f"does not compile: {path}:{mutants[k][0] + 1}: {said(path, mutants[k])}", flush=True)
                del mutants[k]
        if sum(map(len, changes.values())) == before:
            print(f"{target}: does not compile\n{done.stderr[:2000]}", flush=True)
            for mutants in changes.values():
                mutants.clear()
            return False


def linked(library, objects):
    """The library with other objects."""
    link = shlex.split((BUILD / f"CMakeFiles/xgrad_{library}.dir/link.txt").read_text())
    target = link[link.index("-o") + 1]
    link = [objects.get(word, word) for word in link]
    link[link.index("-o") + 1] = str(SCRATCH / target)
    subprocess.run(link, cwd=BUILD, check=True, capture_output=True)
    soname = SCRATCH / next(w for w in link if w.startswith("-Wl,-soname,")).rsplit(",", 1)[1]
    soname.unlink(missing_ok=True)
    soname.symlink_to(SCRATCH / target)


def built(library, chosen, sources):
    """Compiles and links the mutants of a library; returns those that are there, by number."""
    SCRATCH.mkdir(exist_ok=True)
    (SCRATCH / "mutant.hpp").write_text(
        "#pragma once\n#include <cstdlib>\nnamespace { const int xgrad_mutant = "
        '[] { const char* k = std::getenv("XGRAD_MUTANT"); return k ? std::atoi(k) : 0; }(); }\n'
    )
    changes = {}
    for k, (path, part, mutant) in enumerate(chosen, 1):
        if part[0] == library:
            changes.setdefault(path, {})[k] = mutant
    objects = {}
    for i, (target, words) in enumerate(sources.items()):
        here = {path: changes[path] for path in included(target) & changes.keys()}
        if any(here.values()) and target.startswith(f"CMakeFiles/xgrad_{library}"):
            print(f"compiles {', '.join(sorted(here))}", flush=True)
            if compiled(target, words, here, SCRATCH / f"{i}.o"):
                objects[target] = str(SCRATCH / f"{i}.o")
    linked(library, objects)
    return sorted(k for mutants in changes.values() for k in mutants)


def run(program, names, mutant, seconds, *options):
    listed = SCRATCH / f"{program}_{mutant}_tests.txt"
    listed.write_text("".join(re.sub(r"([\\,\[])", r"\\\1", n) + "\n" for n in names))
    env = os.environ | {"LD_LIBRARY_PATH": str(SCRATCH), "OMP_WAIT_POLICY": "passive", "XGRAD_MUTANT": str(mutant)}
    words = [str(BUILD / f"tests/{program}_tests"), *(["-f", str(listed)] if names else []), *options]
    return subprocess.run(
        words, env=env, capture_output=True, text=True, cwd=SCRATCH,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds))),
    )  # fmt: skip


def tests_of(program):
    """The tests of a program with their files and seconds, measured once, without a mutant."""
    kept = SCRATCH / f"{program}_tests.json"
    if not kept.exists() or kept.stat().st_mtime < (BUILD / f"tests/{program}_tests").stat().st_mtime:
        report = SCRATCH / f"{program}_tests.xml"
        done = run(program, [], 0, 3600, "-r", "xml", "-o", str(report), "--durations", "yes")
        if done.returncode != 0:
            sys.exit(f"the tests of {program} must pass without a mutant")
        cases = [
            (c.get("name"), c.get("filename"), float(c.find("OverallResult").get("durationInSeconds")))
            for c in xml.parse(report).iter("TestCase")
        ]
        kept.write_text(json.dumps(cases))
    return json.loads(kept.read_text())


def tiers(tests, folder):
    """Lists of tests, each to be run after the one before."""
    quick = [t for t in tests if t[2] < 0.3]
    own = [t for t in tests if folder in t[1]]
    lists, left, seen = [], LIMIT, set()
    for tier in ([t for t in quick if t in own], quick, own, tests):
        names = []
        for name, _, seconds in sorted(tier, key=lambda t: t[2]):
            if name not in seen and seconds <= left:
                seen.add(name)
                names.append(name)
                left -= seconds
        if names:
            lists.append(names)
    return lists


def judge(k, part):
    program, folder = part
    for names in tiers(tests_of(program), folder):
        if run(program, names, k, 4 * LIMIT + 30, "--abort").returncode != 0:
            return "killed"
    return "survived"


def main():
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 80
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    sources = commands()
    chosen, every = sample(number, seed, set(sys.argv[3:]), sources)
    known = (ROOT / "tests/fire/equivalent_mutants.txt").read_text()
    equivalent = [c for c in chosen if f"{c[0]}: {said(c[0], c[2])}\n" in known]
    chosen = [c for c in chosen if c not in equivalent]
    print(f"{len(chosen)} of {every} mutants and {len(equivalent)} known to be equivalent, seed {seed}", flush=True)
    count = {"killed": 0, "survived": 0}

    def tell(k, verdict):
        path, _, mutant = chosen[k - 1]
        count[verdict] += 1
        print(f"{verdict}: {path}:{mutant[0] + 1}: {said(path, mutant)}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("XGRAD_JOBS", "1"))) as pool:
        for library in sorted({part[0] for _, part, _ in chosen}):
            there = built(library, chosen, sources)
            quick = [name for name, _, seconds in tests_of(library) if seconds < 0.3]
            if run(library, quick, 0, 600).returncode != 0:
                sys.exit(f"the tests of {library} must pass without a mutant")
            for k in there:
                job = pool.submit(judge, k, chosen[k - 1][1])
                job.add_done_callback(lambda job, k=k: tell(k, job.result()))
    judged = max(sum(count.values()), 1)
    print(f"{count['killed']} of {judged} killed, {100 * count['killed'] / judged:.0f} %")


if __name__ == "__main__":
    main()
