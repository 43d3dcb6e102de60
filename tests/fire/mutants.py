#!/usr/bin/env python3
"""usage: python3 tests/fire/mutants.py [N [SEED [FILE…]]]

Changes one place of the core at a time (N of them, default 40), builds the object and its library, and runs the tests of
its folder, then those of the others, and with XGRAD_ALL=1 the whole program: what passes has survived. Needs a build of the preset release; that
stays as it is, the mutants' libraries come first by LD_LIBRARY_PATH. Prints each survivor as a line of its file and
the share that was killed. Mutants that do not compile, or give the same object, count for nothing.
"""

import concurrent.futures
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"
# Folders of the core, the tests of each, and the program that has them.
CORE = {
    "autograd/tape": ("autograd", "tests/autograd/tape"),
    "autograd/ir": ("autograd", "tests/autograd/ir"),
    "autograd/core": ("autograd", "tests/autograd/core"),
    "autograd/elementwise": ("autograd", "tests/autograd/elementwise"),
    "nn/optim": ("nn", "tests/nn/optim"),
}
EVERYTHING = bool(os.environ.get("XGRAD_ALL"))
# What is changed into what.
OPERATORS = {
    "==": ["!="], "!=": ["=="], "<": ["<=", ">="], ">": [">=", "<="], "<=": ["<", ">"], ">=": [">", "<"],
    "&&": ["||"], "||": ["&&"], "+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "+=": ["-="], "-=": ["+="],
    "++": ["--"], "--": ["++"], "true": ["false"], "false": ["true"],
}  # fmt: skip
TOKEN = re.compile(
    r' (==|!=|<=|>=|<|>|&&|\|\||\+=|-=|\+|-|\*|/) |(\+\+|--)(?=\w)|\b(true|false)\b|(?<![\w."])(\d+)(?![\w."\'])'
)
STATEMENT = re.compile(r"^\s+(?!return|const|auto|static|using|case|break|default|if|for|while|else)[\w:.\->*]+[^{}]*;\s*(//.*)?$")


def code_lines(text):
    """Numbers of the lines that are code: no comments, directives, assertions of compile time, or names of errors."""
    for number, line in enumerate(text.splitlines()):
        bare = line.strip()
        if bare and not re.match(r"//|#|/\*|\*|static_assert|template|using|namespace|fail\(|constexpr char|.*__builtin_", bare):
            yield number, line


def mutants_of(path):
    """Every (line, column, length, replacement) of a file."""
    for number, line in code_lines(path.read_text()):
        code = re.sub(r'"(\\.|[^"\\])*"', lambda m: "_" * len(m.group()), line.split(" //")[0])
        for m in TOKEN.finditer(code):
            group = m.lastindex
            old = m.group(group)
            if code.startswith("template") or (old in "<>" and re.search(r"template|_cast", code)):
                continue
            new = OPERATORS.get(old) or [str(int(old) + 1)]
            for replacement in new:
                yield number, m.start(group), len(old), replacement
        if m := re.match(r"(\s*(?:\} else )?if \()(.*)(\) (?:return|continue|break|fail|[\w.]+).*;)", code):
            for value in ("true", "false"):
                yield number, len(m.group(1)), len(m.group(2)), value
        if STATEMENT.match(code) and code.count("(") == code.count(")"):
            yield number, len(line) - len(line.lstrip()), len(line.strip()), ";"


def changed(path, mutant):
    number, column, length, replacement = mutant
    lines = path.read_text().splitlines(keepends=True)
    line = lines[number]
    lines[number] = line[:column] + replacement + line[column + length :]
    return "".join(lines), f"{line.strip()}  →  {lines[number].strip()}"


def commands():
    """The command that compiles each file into each of its objects (files in isa/ have one for each instruction set)."""
    found = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"]).relative_to(ROOT)
        words = shlex.split(entry["command"])
        if words[0].endswith(("ccache", "/cc")):
            words = words[1:]
        if "_tests" not in entry["command"].split(" -o ")[1].split("/")[1]:
            found.setdefault(str(path), []).append(words)
    return found


def linked(library, objects, scratch):
    """The library with other objects, in a directory of its own."""
    link = shlex.split((BUILD / f"CMakeFiles/xgrad_{library}.dir/link.txt").read_text())
    target = link[link.index("-o") + 1]
    link = [objects.get(word, word) for word in link]
    link[link.index("-o") + 1] = str(scratch / target)
    subprocess.run(link, cwd=BUILD, check=True, capture_output=True)
    soname = next(w for w in link if w.startswith("-Wl,-soname,")).rsplit(",", 1)[1]
    (scratch / soname).symlink_to(scratch / target)


def killed(program, spec, scratch, seconds):
    env = os.environ | {"LD_LIBRARY_PATH": str(scratch), "OMP_WAIT_POLICY": "passive", "TMPDIR": str(scratch)}
    try:
        done = subprocess.run(
            [str(BUILD / f"tests/{program}_tests"), "--abort", *spec], env=env, capture_output=True, timeout=seconds
        )
        return done.returncode != 0
    except subprocess.TimeoutExpired:
        return True


def tags(folders):
    """The tests of the files in these folders."""
    files = sorted(p.stem for folder in folders for p in (ROOT / folder).rglob("*_test.cpp"))
    return ["-#", ",".join(f"[#{f}]" for f in files)]


def judge(path, mutant, compile_commands):
    """'killed', 'survived', or why it counts for nothing; and what was changed."""
    program, tests = next(value for folder, value in CORE.items() if path.startswith(folder))
    text, said = changed(ROOT / path, mutant)
    where = f"{path}:{mutant[0] + 1}: {said}"
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="mutant-"))
    try:
        (scratch / pathlib.Path(path).name).write_text(text)
        objects = {}
        for i, words in enumerate(compile_commands):
            words = list(words)
            target = words[words.index("-o") + 1]
            words[words.index("-o") + 1] = objects[target] = str(scratch / f"{i}.o")
            words[words.index("-c") + 1] = str(scratch / pathlib.Path(path).name)
            words.append("-Wno-error")
            if subprocess.run(words, cwd=BUILD, capture_output=True).returncode != 0:
                return "does not compile", where
        if all((scratch / f"{i}.o").read_bytes() == (BUILD / t).read_bytes() for i, t in enumerate(objects)):
            return "the same object", where
        linked(program, objects, scratch)
        others = [folder for of, folder in CORE.values() if of == program and folder != tests]
        specs = [tags([tests]), *([tags(others)] if others else []), *([[]] if EVERYTHING else [])]
        if any(killed(program, spec, scratch, 600) for spec in specs):
            return "killed", where
        return "survived", where
    finally:
        shutil.rmtree(scratch)


def main():
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    compile_commands = commands()
    files = sys.argv[3:] or [f for f in compile_commands if f.startswith(tuple(CORE))]
    every = [(f, m) for f in sorted(files) for m in mutants_of(ROOT / f)]
    random.Random(seed).shuffle(every)
    print(f"{number} of {len(every)} mutants in {len(files)} files, seed {seed}", flush=True)
    count = {"killed": 0, "survived": 0}
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("XGRAD_JOBS", "1"))) as pool:
        waiting = iter(every)
        while sum(count.values()) < number:
            batch = [next(waiting) for _ in range(pool._max_workers)]
            for verdict, where in pool.map(lambda b: judge(b[0], b[1], compile_commands[b[0]]), batch):
                if verdict in count:
                    count[verdict] += 1
                print(f"{verdict}: {where}", flush=True)
    all_judged = count["killed"] + count["survived"]
    print(f"{count['killed']} of {all_judged} killed, {100 * count['killed'] / all_judged:.0f} %")


if __name__ == "__main__":
    main()
