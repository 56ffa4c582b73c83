"""Kill `erp run` as the system would when memory is short, and see what is left behind and what is lost.

    python benchmarks/kills.py [--kills 12] [--seed 0] [--signal KILL] [--folder FOLDER]

First the embedded study, in its `quick` variant, runs to its end: the reference, and how long it takes. Then it runs
again elsewhere, and its *main process alone* gets SIGKILL at random moments of it. It is started anew after each, at
once, and after the last runs to its end. Printed for each kill: what lived before, what lives at most five seconds
later, and its memory. At the end: are responses, rewards and metrics, byte by byte, those of the reference?
Needs psutil, which ipykernel brings along.
"""
import argparse, hashlib, json, random, signal, subprocess, sys, tempfile, time
from pathlib import Path
import psutil

ERP = [sys.executable, '-c', 'from erp_nbdev.command import main; main()', 'run', '--quick', '--runs']
PATIENCE = 5    # seconds that processes have to be gone


def alive(process):
    try: return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess: return False


def memory(processes):
    total = 0
    for p in processes:
        try: total += p.memory_info().rss
        except psutil.NoSuchProcess: pass
    return total/1e6


def start(runs):
    "The command, and a name in its environment that everything it starts inherits"
    return psutil.Popen([*ERP, str(runs)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                        env={**psutil.Process().environ(), 'ERP_KILLS': str(runs)})


def family(runs):
    "All processes of a run, whoever their parent is by now"
    found = []
    for p in psutil.process_iter():
        try:
            if p.environ().get('ERP_KILLS') == str(runs) and alive(p): found.append(p)
        except psutil.Error: pass
    return found


def killed(runs, after, number):
    "Start a run, kill its main process, and wait until nothing of it lives or patience has ended"
    main = start(runs)
    try:
        main.wait(after)
        return None
    except psutil.TimeoutExpired: pass
    before = family(runs)
    held = memory(before)
    main.send_signal(number)
    start_of_end = time.monotonic()
    while (left := family(runs)) and time.monotonic() < start_of_end + PATIENCE: time.sleep(.02)
    main.wait(60)
    return dict(before=len(before), held=held, gone_in=time.monotonic() - start_of_end,
                left=len(left), left_mb=memory(left), code=main.returncode)


def results(runs):
    "Digests of what the run has found"
    folder = next(p.parent for p in runs.glob('*/stages.json'))
    files = [folder/'tables/responses.parquet', folder/'tables/rewards.parquet', *folder.glob('*/metrics.json')]
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(files)}


def to_the_end(runs):
    begun = time.monotonic()
    main = start(runs)
    told = main.communicate()[0].decode()
    if main.returncode: raise SystemExit(f'{told}\nThe run failed.')
    return time.monotonic() - begun


if __name__ == '__main__':
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument('--kills', type=int, default=12)
    ask.add_argument('--seed', type=int, default=0)
    ask.add_argument('--signal', default='KILL', help='KILL, or TERM or INT, say')
    ask.add_argument('--folder', type=Path, default=None, help='where to run; a temporary one unless given')
    a = ask.parse_args()
    folder = a.folder or Path(tempfile.mkdtemp())
    took = to_the_end(folder/'unbroken')
    print(f'unbroken: {took:.0f} s', flush=True)
    random.seed(a.seed)
    number, seen, orphans = signal.Signals[f'SIG{a.signal}'], 0, 0
    for i in range(a.kills):
        # what was done is kept, so later runs are shorter; spread the moments over what is left of the work
        after = random.uniform(.5, took*(1 - i/a.kills)**.5)
        found = killed(folder/'killed', after, number)
        if found is None:
            print(f'{i + 1:2}: had ended before {after:.1f} s', flush=True)
            continue
        seen, orphans = seen + 1, orphans + found['left']
        print('{:2}: after {:4.1f} s: {before} processes, {held:.0f} MB; {gone_in:.2f} s later: '
              '{left} processes, {left_mb:.0f} MB; exit {code}'.format(i + 1, after, **found), flush=True)
    to_the_end(folder/'killed')
    expected, got = results(folder/'unbroken'), results(folder/'killed')
    for name in expected: print(f'{"same" if got.get(name) == expected[name] else "OTHER"}: {name}')
    print(f'{seen} kills, {orphans} orphans, {sum(got.get(n) == d for n, d in expected.items())} of {len(expected)} files the same')
    sys.exit(bool(orphans) or got != expected)
