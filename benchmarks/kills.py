"""Kill `erp run` as the system would when memory is short, and see what is left behind and what is lost.

    python benchmarks/kills.py [--kills 12] [--seed 0] [--signal KILL] [--folder FOLDER]

First the embedded study, in its `quick` variant, runs to its end: the reference, and how long it takes. Then it runs
again elsewhere, and its *main process alone* gets SIGKILL at a random moment. It is started anew at once, and killed
again, and so on; where it comes to its end before, another run begins. Printed for each kill: what lived before, what
lives at most five seconds later, and its memory. At the end every run goes on to its end: are its responses, rewards
and metrics, byte by byte, those of the reference?
Needs psutil, which ipykernel brings along.
"""
import argparse, hashlib, random, signal, subprocess, sys, tempfile, time
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
    number, seen, orphans, place = signal.Signals[f'SIG{a.signal}'], 0, 0, 1
    while seen < a.kills:
        after = random.uniform(1, took/3)
        found = killed(folder/f'killed-{place}', after, number)
        if found is None:     # it had come to its end: begin again, elsewhere
            place += 1
            continue
        seen, orphans = seen + 1, orphans + found['left']
        print('{:2}: run {}, after {:4.1f} s: {before} processes, {held:.0f} MB; {gone_in:.2f} s later: {left} processes, '
              '{left_mb:.0f} MB; exit {code}'.format(seen, place, after, **found), flush=True)
    expected, same = results(folder/'unbroken'), []
    for k in range(1, place + 1):
        to_the_end(folder/f'killed-{k}')
        got = results(folder/f'killed-{k}')
        same.append(got == expected)
        print(f'run {k}: {sum(got.get(n) == d for n, d in expected.items())} of {len(expected)} files the same;',
              'other:', ', '.join(n for n in expected if got.get(n) != expected[n]) or 'none')
    print(f'{seen} kills, {orphans} orphans')
    sys.exit(bool(orphans) or not all(same))
