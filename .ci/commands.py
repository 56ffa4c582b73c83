"""Run the commands that a page shows, in order, in an empty folder, from the files that it shows.

    python .ci/commands.py [README.md …]

A fenced block of csv, yaml or txt is a file; its name is the last `name.ext` in backticks before it. A block of sh is run line by
line with `bash -e`, with the `erp` of this Python. Left out, because .ci/run runs them by themselves: lines with `pip install`.
"""
import os, re, subprocess, sys, tempfile
from pathlib import Path

FENCE = re.compile(r'^```(\w+)\n(.*?)^```', re.M | re.S)


def steps(text):
    "('file', name, content) and ('run', line, '') in the order of the page"
    before = 0
    for block in FENCE.finditer(text):
        kind, content = block[1], block[2]
        if kind in ('csv', 'yaml', 'txt', 'jsonl'):
            names = re.findall(r'`([\w.-]+\.\w+)`', text[before:block.start()])
            names = [n for n in names if n.endswith('.' + kind)]
            if names: yield 'file', names[-1], content
        elif kind in ('sh', 'bash'):
            for line in content.splitlines():
                if line.strip() and 'pip install' not in line: yield 'run', line, ''
        before = block.end()


def run(page):
    "How many commands ran; exits at the first that fails"
    env = os.environ | {'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}', 'COLUMNS': '100'}
    n = 0
    with tempfile.TemporaryDirectory() as folder:
        env['XDG_CACHE_HOME'] = folder
        for kind, what, content in steps(Path(page).read_text('utf-8')):
            if kind == 'file':
                Path(folder, what).write_text(content, 'utf-8')
                continue
            done = subprocess.run(['bash', '-euc', what], cwd=folder, env=env, capture_output=True, text=True)
            if done.returncode: sys.exit(f'{page}: failed: {what}\n{done.stdout}{done.stderr}')
            print(f'ok: {what}')
            n += 1
    return n


if __name__ == '__main__':
    for page in sys.argv[1:] or ['README.md']:
        n = run(page)
        if not n: sys.exit(f'{page}: shows no command')
        print(f'{page}: {n} commands, each as shown')
