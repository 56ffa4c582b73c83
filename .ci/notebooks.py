"""Keep the notebooks, their stored outputs and README.md in step.

    python .ci/notebooks.py VERB [NOTEBOOK...]

    list              the notebooks that nbdev_test runs, one per line
    refresh NB...     run in place and store what the cells give (and give the prose below the
                      title its own cell, else the site loses it); with `--flags ray`, say, cells
                      with that test flag run too
    check [NB...]     run, and compare what the cells give with what is stored
    times [NB...]     run, and say how long each notebook and the slowest cells took
    rooms             which module may import which
    style [NB...]     line lengths, what is shown after each exported cell, captions and alt text,
                      titles' numbers, links to chapters; the measures of each notebook
    site              after nbdev_proc_nbs and .ci/pages.py: every page is in the sidebar, every
                      link leads somewhere, and _proc holds what .ci/site_checks.py asks for
    readme [--check]  write README.md from nbs/index.ipynb, or say whether it is current

Which cells run is nbdev_test's own rule: test flags in settings.ini, `#| eval: false`,
`skip_exec: true`.

`check` compares text with the numbers taken out, and the numbers one by one within RTOL and ATOL.
Pictures are decoded and compared pixel by pixel. A cell may declare what else is fine, in its
first lines:

    #| tolerance: 0.2       numbers within 20 % (or 0.2), pictures as much looser
    #| tolerance: any       varies by machine: there must be an output, whatever it says
"""
import base64, difflib, html, io, os, re, sys, time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RTOL = ATOL = 0.02    # numbers in text
PIXELS = 0.03         # pictures: mean absolute difference, 0 to 1
INK = 0.1             # pictures: the same as a share of what is drawn, after a small blur
RUN_TOO = set()       # test flags whose cells are run all the same
SHAPE = 0.02          # pictures: share by which width and height may differ (a longer tick label)
WORKERS = 2
SLOWEST = 40          # cells that `times` lists


# ---------------------------------------------------------------- which notebooks, which cells

def notebooks(paths=()):
    "`paths`, or what nbdev_test would run"
    if paths: return [Path(p) for p in paths]
    from nbdev.doclinks import nbglob
    return sorted(p for p in nbglob(as_path=True) if not (p.parent/'.notest').exists())


def directives(cell):
    from nbdev.process import extract_directives
    return extract_directives(cell, remove=False) if cell.cell_type == 'code' else {}


def skipped(cell):
    "Does nbdev_test leave this code cell out?"
    from nbdev.config import get_config
    d = directives(cell)
    return ('nbdev_export' + '(' in cell.source or d.get('eval:', [''])[0].lower() == 'false'
            or bool((set(get_config().tst_flags.split()) - RUN_TOO) & d.keys()))


def skips_all(nb):
    from nbdev.frontmatter import _fm2dict, _md2dict
    front = {}
    for c in nb.cells:
        if c.cell_type == 'raw': front.update(_fm2dict(c.source) or {})
        elif c.cell_type == 'markdown' and 'title' not in front:
            front.update(_md2dict(c.source) or {})
    return str(front.get('skip_exec', '')).lower() in ('true', '1', 'yes', 'on')


# ---------------------------------------------------------------- running

SECONDS = {}    # (notebook, cell's number): CPU seconds of the kernel and of what it started


def cpu(km):
    "CPU seconds so far of a kernel and its children, those that ended included"
    import psutil
    try: family = [p := psutil.Process(km.provisioner.pid), *p.children(recursive=True)]
    except psutil.Error: return 0.
    total = 0.
    for p in family:
        try: total += sum(p.cpu_times()[:4])    # user, system, and the same of children that ended
        except psutil.Error: pass
    return total


def run(path):
    "The notebook at `path`, executed by this Python in the notebook's folder; nothing is written"
    import nbformat
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    class ThisPython(KernelSpecManager):
        def get_kernel_spec(self, kernel_name):
            argv = [sys.executable, '-m', 'ipykernel_launcher', '-f', '{connection_file}',
                    '--log-level=40', "--InlineBackend.figure_formats={'retina'}"]
            return KernelSpec(argv=argv, display_name='python3', language='python')

    class Client(NotebookClient):
        async def async_execute_cell(self, cell, cell_index, **kw):
            if cell.cell_type == 'code' and skipped(cell): return cell
            start = cpu(self.km)
            try: return await super().async_execute_cell(cell, cell_index, **kw)
            finally: SECONDS[path, cell_index] = cpu(self.km) - start

    nb = nbformat.read(path, as_version=4)
    if skips_all(nb): return nb
    # the same words whatever terminal or CI service this runs in; one thread each, so that sums
    # are summed in one order
    without = 'GITHUB_ACTIONS', 'FORCE_COLOR', 'PY_COLORS', 'MPLBACKEND'
    env = {k: v for k, v in os.environ.items() if k not in without}
    env |= {'COLUMNS': '80', 'OMP_NUM_THREADS': os.environ.get('OMP_NUM_THREADS', '1'),
            'TOKENIZERS_PARALLELISM': 'false'}
    km = AsyncKernelManager(kernel_name='python3', kernel_spec_manager=ThisPython())
    folder = {'metadata': {'path': str(Path(path).resolve().parent)}}
    client = Client(nb, km=km, timeout=600, resources=folder)
    client.execute(env=env, cleanup_kc=True)
    return nb


def cleaned(nb):
    from nbdev.clean import clean_nb
    clean_nb(nb, allowed_cell_metadata_keys=['tags'])
    return nb


def split_title(nb):
    "nbdev makes the page's header of the title's cell and drops what else is in it: split that off"
    import nbformat
    if not nb.cells or nb.cells[0].cell_type != 'markdown': return
    m = re.match(r'# .*\n*(?:> .*\n*)?(?:- \w+: .*\n*)*', nb.cells[0].source)
    if not m: return
    head, rest = m[0].rstrip(), nb.cells[0].source[m.end():]
    if not rest.strip(): return
    nb.cells[0].source = head
    nb.cells.insert(1, nbformat.v4.new_markdown_cell(rest, id=f'{nb.cells[0].id}-body'))


LARGE = 100_000    # bytes of a picture; larger ones are stored in 256 colours


def fewer_colours(nb):
    "Store large pictures in 256 colours: a third of the bytes, to the eye the same"
    from PIL import Image
    for c in nb.cells:
        for o in c.get('outputs', []):
            png = o.get('data', {}).get('image/png')
            if not png or len(raw := base64.b64decode(_joined(png))) <= LARGE: continue
            small, image = io.BytesIO(), Image.open(io.BytesIO(raw))
            if image.mode == 'P': continue
            image = image.convert('RGB').quantize(256, dither=Image.Dither.NONE)
            image.save(small, 'PNG', optimize=True)
            o.data['image/png'] = base64.b64encode(small.getvalue()).decode()


def refresh(paths):
    import nbformat
    from nbdev.clean import process_write, clean_nb
    if '--flags' in paths:
        i = paths.index('--flags')
        RUN_TOO.update(paths[i + 1].split())
        paths = paths[:i] + paths[i + 2:]
    for p in paths:
        nb = run(p)
        split_title(nb)
        fewer_colours(nb)
        nbformat.write(nb, p)
        clean = partial(clean_nb, clear_all=False, allowed_cell_metadata_keys=['tags'])
        process_write(warn_msg=f'Failed to clean {p}', proc_nb=clean, f_in=p)
        print('refreshed', p)


# ---------------------------------------------------------------- comparing

# a number that is not part of a name: `m1`, `sha-3f2a` and `2.13.0`'s second dot are words
_number = re.compile(r'(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+\.?\d*|\.\d+)'
                     r'(?:[eE][-+]?\d+)?')


def words_and_numbers(text):
    numbers = [float(n.replace(',', '')) for n in _number.findall(text)]
    words = _number.sub('#', text).replace('#.', '#')
    words = re.sub(r'-{3,}', '---', re.sub(r'[ \t]+', ' ', words))
    words = re.sub(r'(?<=[\[(]) | (?=[\])])', '', words)     # numpy pads its brackets
    return '\n'.join(l.strip() for l in words.strip().splitlines()), numbers


def compare_text(a, b, tol):
    (wa, na), (wb, nb_) = words_and_numbers(a), words_and_numbers(b)
    if wa != wb:
        lines = difflib.unified_diff(wa.splitlines(), wb.splitlines(), lineterm='', n=0)
        d = [l for l in lines if not l.startswith(('---', '+++', '@@'))]
        return 'the words differ: ' + ' | '.join(d[:4])[:300]
    rtol, atol = (RTOL, ATOL) if tol is None else (tol, tol)
    bad = [(x, y) for x, y in zip(na, nb_) if abs(x - y) > atol + rtol * abs(x)]
    if bad:
        x, y = bad[0]
        return f'{len(bad)} of {len(na)} numbers differ: stored {x:g}, now {y:g}'


def _array(png):
    import numpy as np
    from PIL import Image
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert('RGBA')
    white = Image.new('RGBA', image.size, 'white')
    white.alpha_composite(image)
    return white.convert('L'), lambda i: np.asarray(i, dtype=float) / 255


def compare_png(a, b, tol):
    from PIL import ImageFilter
    import numpy as np
    (a, arr), (b, _) = _array(a), _array(b)
    twice = a.size[0]/b.size[0]    # pictures are stored at twice the resolution; older ones are not
    if 1.9 < twice < 2.1: a = a.resize([(w + 1)//2 for w in a.size])
    if 1.9 < 1/twice < 2.1: b = b.resize([(w + 1)//2 for w in b.size])
    loose = 1 if tol is None else max(1, tol / RTOL)
    if any(abs(x - y) > SHAPE * loose * max(x, y) for x, y in zip(a.size, b.size)):
        return f'the picture was {a.size[0]}×{a.size[1]}, now {b.size[0]}×{b.size[1]}'
    if a.size != b.size: b = b.resize(a.size)
    diff = np.abs(arr(a) - arr(b)).mean()
    if diff >= PIXELS * loose: return f'the picture differs: {diff:.3f} a pixel on average'
    soft = [1 - arr(i.filter(ImageFilter.BoxBlur(4))) for i in (a, b)]
    ink = np.abs(soft[0] - soft[1]).sum() / max(np.maximum(*soft).sum(), 1e-9)
    if ink >= INK * loose: return f'the picture differs: {ink:.0%} of what is drawn'


def _joined(v): return ''.join(v) if isinstance(v, list) else v


def _visible(html):
    html = re.sub(r'<(style|script).*?</\1>', '', html, flags=re.S)
    return re.sub(r'\n\s*\n+', '\n', re.sub(r'<[^>]*>', ' ', html))


def _ended(text):
    "Is this only what a kernel that a study ran in says of being ended?"
    lines = [l for l in text.splitlines() if l.strip()]
    known = 'KeyboardInterrupt caught in kernel', 'IProgress not found', 'tqdm as notebook_tqdm'
    return all(any(k in l for k in known) for l in lines)


def outputs(cell):
    "[(kind, text or picture)] of a cell, neighbouring pieces of one stream joined"
    res = []
    for o in cell.outputs:
        if o.output_type == 'stream' and o.name == 'stderr' and _ended(_joined(o.text)): continue
        if o.output_type == 'stream':
            if res and res[-1][0] == o.name: res[-1] = (o.name, res[-1][1] + _joined(o.text))
            else: res.append((o.name, _joined(o.text)))
        elif o.output_type == 'error': res.append(('error', f'{o.ename}: {o.evalue}'))
        else:
            text = lambda v: _joined(v) if isinstance(v, (str, list)) else repr(v)
            res += [(f'{o.output_type} {k}', text(v)) for k, v in sorted(o.data.items())]
    return res


def compare_cell(old, new, tol=None):
    "What differs between the outputs of `old` and `new`, or None"
    a, b = outputs(old), outputs(new)
    if any(k == 'error' for k, _ in a): return f'an error is stored: {dict(a)["error"]}'
    if a and not b: return 'an output vanished'
    if b and not a: return 'an output appeared that is not stored'
    if tol == 'any': return
    if (ka := [k for k, _ in a]) != (kb := [k for k, _ in b]):
        return f'the kinds of output differ: stored {ka}, now {kb}'
    for (kind, x), (_, y) in zip(a, b):
        if kind.endswith('image/png'): d = compare_png(x, y, tol)
        elif kind.endswith(('text/html', 'image/svg+xml')):
            d = compare_text(_visible(x), _visible(y), tol)
        elif 'image/' in kind: d = None if x == y else 'the picture differs'
        else: d = compare_text(x, y, tol)
        if d: return f'{kind}: {d}'


def tolerance(cell):
    v = (directives(cell).get('tolerance:') or [None])[0]
    return v if v in (None, 'any') else float(v)


def check_one(path):
    "(path, seconds, what differs, cells compared)"
    import nbformat
    start, found, n = time.time(), [], 0
    try:
        old, new = cleaned(nbformat.read(path, as_version=4)), cleaned(run(path))
    except Exception as e:
        lines = [l for l in re.sub(r'\x1b\[[0-9;]*m', '', str(e)).strip().splitlines() if l.strip()]
        cell = str(e).partition('------------------')[2].strip().partition('\n')[0][:80]
        found = [f'does not run: {" | ".join(lines[-3:])[:400]}']
        if getattr(e, 'traceback', '') and cell: found.append(f'in the cell that begins: {cell}')
        return path, time.time() - start, found, n
    whole = skips_all(old)
    for i, (a, b) in enumerate(zip(old.cells, new.cells)):
        if a.cell_type != 'code': continue
        try:
            if whole or skipped(a): d = compare_cell(a, a)   # not run: only a stored error is wrong
            else: d, n = compare_cell(a, b, tolerance(a)), n + 1
        except Exception as e: d = f'cannot be compared: {type(e).__name__}: {e}'
        if d: found.append(f'cell {i} ({a.id}): {d}')
    return path, time.time() - start, found, n


def check(paths):
    paths = notebooks(paths)
    if not paths: sys.exit('No notebooks to check')
    with ProcessPoolExecutor(WORKERS) as pool: results = list(pool.map(check_one, paths))
    for path, secs, found, n in results:
        where = path.relative_to(ROOT) if path.is_absolute() else path
        print(f"{'differs' if found else 'current'}  {where}  ({n} cells, {secs:.0f} s)")
        for f in found: print('    ' + f)
    bad = sum(bool(r[2]) for r in results)
    print(f'{len(results) - bad} current, {bad} not')
    if bad: sys.exit(1)


def times(paths):
    "CPU seconds of each notebook and of the slowest cells, one notebook at a time"
    of = {}
    for path in notebooks(paths):
        start = time.time()
        nb = run(path)
        first = lambda cell: next(iter(code_lines(cell)), '')
        of |= {(path, i): (s, nb.cells[i].id, first(nb.cells[i])) for (p, i), s in SECONDS.items()
               if p == path and nb.cells[i].cell_type == 'code'}
        mine = [s for (p, _), (s, *_) in of.items() if p == path]
        print(f'{sum(mine):7.1f} s in {len(mine):3} cells, {time.time() - start:6.1f} s by the '
              f'clock  {path.resolve().relative_to(ROOT)}', flush=True)
    print(f'{sum(s for s, *_ in of.values()):7.1f} s in all; the slowest cells:')
    slowest = sorted(of.items(), key=lambda kv: -kv[1][0])[:SLOWEST]
    for (path, i), (s, id, line) in slowest:
        print(f'{s:7.1f} s  {path.name} {i} ({id}): {line[:70]}')


# ---------------------------------------------------------------- the rooms and the way they stand

ROOMS = """errors store files tables workers importing weights endpoint settings sampling rewards
vectors embedding probes winrate pairwise keeping shrinkage routing evaluation fitting zooter collecting
beyond.training_cost sizing planning study command embedded recipes""".split()
LONG = 400    # lines of a module; more are listed


def place(module):
    "Where a module stands among ROOMS; None for one that has no place"
    found = [r for r in ROOMS if module == r or module.startswith(r + '.')]
    return ROOMS.index(found[0]) if found else None


def imported(tree, module, modules):
    "(line, module of ours, name) of every import, those inside functions too"
    import ast
    for n in ast.walk(tree):
        if isinstance(n, ast.Import):
            ours = [a for a in n.names if a.name.startswith('erp_nbdev.')]
            yield from ((n.lineno, a.name[10:], '') for a in ours)
        elif isinstance(n, ast.ImportFrom):
            up = ['erp_nbdev', *module.split('.')][:-n.level] if n.level else []
            full = '.'.join([*up, *filter(None, [n.module])])
            if full.split('.')[0] != 'erp_nbdev': continue
            for a in n.names:
                whole = f'{full}.{a.name}'[10:]
                yield (n.lineno, whole, '') if whole in modules else (n.lineno, full[10:], a.name)


def room_faults(module, text, modules):
    "What is wrong with the imports of one module, and names that it defines twice"
    import ast
    tree, seen = ast.parse(text), {}
    if place(module) is None: yield f'{module} has no place in ROOMS (.ci/notebooks.py)'
    for line, other, name in imported(tree, module, modules):
        if not other or other == module: continue
        same = other.split('.')[0] == module.split('.')[0]
        if not same and (place(other) or 0) >= (place(module) or 0):
            yield f'{module}:{line} imports {other}, which does not stand before it'
        if name.startswith('_') and not name.startswith('__'):
            yield f'{module}:{line} imports {other}.{name}, a private name'
    for n in tree.body:
        if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.decorator_list:
            if n.name in seen:
                yield f'{module}:{n.lineno} defines {n.name} again, after line {seen[n.name]}'
            seen[n.name] = n.lineno


def rooms(_):
    "Each module imports only those before it in ROOMS, and no private name; long ones are listed"
    found, lib = [], ROOT/'erp_nbdev'
    texts = {'.'.join(p.relative_to(lib).with_suffix('').parts): p.read_text('utf-8')
             for p in sorted(lib.rglob('*.py'))
             if p.name not in ('__init__.py', '_modidx.py')}
    for module, text in texts.items(): found += room_faults(module, text, texts)
    sizes = {m: len(t.splitlines()) for m, t in texts.items()}
    print('\n'.join(found) or f'{len(texts)} modules, {sum(sizes.values())} lines: each imports '
                              'only what stands before it, nothing private')
    long = ', '.join(f'{m} {n}' for m, n in sizes.items() if n > LONG)
    print(f'longer than {LONG} lines: {long or "none"}')
    if found: sys.exit(1)


# ---------------------------------------------------------------- style

WIDTH = 100    # characters of a line of code


def code_lines(cell):
    "Lines of a code cell, without directives and blank ones"
    return [l for l in cell.source.splitlines() if l.strip() and not l.startswith('#|')]


def only_imports(lines): return all(re.match(r'(from|import)\b|[ (]|\)|%', l) for l in lines)


def docment_symbols(source, symbols):
    "Names of ours in backticks inside signatures: nbdev makes a raw Markdown link of each"
    comments = re.findall(r'^[^\'"\n]*?#(?!\|)(.*)$', source, re.M)
    return [n for c in comments for n in re.findall(r'`(\w+)`', c) if n in symbols]


def style_one(path, symbols):
    "(measures of a notebook, its faults)"
    import nbformat, statistics
    nb, faults = nbformat.read(path, as_version=4), []
    codes = [c for c in nb.cells if c.cell_type == 'code' and code_lines(c)]
    lines = [l for c in codes for l in code_lines(c)]
    sizes = sorted(len(code_lines(c)) for c in codes) or [0]
    exported = lambda c: bool(directives(c).keys() & {'export', 'exports', 'exporti'})
    shown = [not exported(b) for a, b in zip(codes, codes[1:])
             if exported(a) and not only_imports(code_lines(a))]
    words = sum(len(c.source.split()) for c in nb.cells if c.cell_type == 'markdown')
    name, n = path.resolve().relative_to(ROOT/'nbs').as_posix(), 0
    for i, c in enumerate(nb.cells):
        where = f'{name} cell {i} ({c.id})'
        if c.cell_type == 'markdown':
            text = ''.join(_fence.split(c.source)[::2])
            plain = re.findall(r'(?<!\[)\bchapters? \d\d\b(?!\])', text, re.I)
            faults += [f'{where}: not a link: {m}' for m in plain]
        if c.cell_type != 'code': continue
        long = [l.strip() for l in c.source.splitlines()
                if len(l) > WIDTH and not re.match(r'#\| (fig-|tbl-)', l)]
        if long: faults.append(f'{where}: {len(long)} lines longer than {WIDTH}: {long[0][:60]}')
        if any(k.endswith(('image/png', 'image/svg+xml')) for k, _ in outputs(c)):
            n += 1
            faults += [f'{where}: a picture without {k}' for k in ('fig-cap', 'fig-alt')
                       if f'#| {k}:' not in c.source]
        if exported(c):
            faults += [f'{where}: `{s}` in a signature' for s in docment_symbols(c.source, symbols)]
    number = re.match(r'\d\d(?=_)', name)
    if number and not nb.cells[0].source.startswith(f'# {number[0]} '):
        faults.append(f'{name}: the title does not begin with {number[0]}')
    return {'cells': len(codes), 'over 100': sum(len(l) > WIDTH for l in lines),
            'lines': len(lines), 'shown': f'{sum(shown)}/{len(shown)}',
            'median': statistics.median(sizes),
            'p90': sizes[int(.9*(len(sizes) - 1))], 'words': words,
            'words/line': round(words/max(len(lines), 1), 1), 'pictures': n}, faults


def style(paths):
    "Every notebook's measures, and what breaks a rule"
    sys.path.insert(0, str(ROOT))
    from erp_nbdev._modidx import d
    symbols = {k.rpartition('.')[2] for m in d['syms'].values() for k in m}
    found, rows = [], {}
    for p in notebooks(paths):
        rows[p.resolve().relative_to(ROOT/'nbs').as_posix()], faults = style_one(p, symbols)
        found += faults
    head = list(next(iter(rows.values())))
    print(f"{'':32}" + ''.join(f'{h:>11}' for h in head))
    for n, r in rows.items(): print(f'{n:32}' + ''.join(f'{str(r[h]):>11}' for h in head))
    print('\n'.join(found) or 'no fault')
    if found: sys.exit(1)


# ---------------------------------------------------------------- links, the site, README.md

_link = re.compile(r'(!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\()([^()\s]+)((?:\s+"[^"]*")?\))')
_fence = re.compile(r'(^```.*?^```|`[^`\n]*`)', re.M | re.S)


def map_links(text, f):
    "`text` with each link's target t replaced by f(t), code left alone"
    parts = _fence.split(text)
    parts[::2] = [_link.sub(lambda m: m[1] + f(m[2]) + m[3], p) for p in parts[::2]]
    return ''.join(parts)


def _target(here, link):
    "(file that `link` in folder `here` leads to, '#anchor'); None for a file that is not there"
    name, hash_, anchor = link.partition('#')
    if not name: return None, hash_ + anchor
    p = (here/name).resolve()
    if p.suffix == '.html':     # a page of the site: find the notebook it is made from
        stem = lambda n: re.sub(r'^\d+[a-zA-Z0-9]*_', '', n.stem.lower())
        p = next((n for n in p.parent.glob('*.ipynb') if stem(n) == p.stem), p)
    return (p if p.exists() else None), hash_ + anchor


def _outside(link): return re.match(r'[a-z][a-z0-9+.-]*:', link, re.I) or link.startswith('#')


def _slug(heading):
    "The id that pandoc gives a heading"
    if (own := re.search(r'\{[^}]*#([\w.-]+)[^}]*\}\s*$', heading)): return own[1]
    text = re.sub(r'!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^)]*\)', r'\1', heading).lower()
    text = re.sub(r'[^\w\s.-]', '', text.replace('<br>', ' '))
    return re.sub(r'^[\W\d_]+', '', re.sub(r'\s+', '-', text.strip()))


def _anchors(path, symbols):
    "The ids that the page made from a notebook or a .qmd file will have"
    import nbformat
    if path.suffix == '.ipynb':
        cells = nbformat.read(path, as_version=4).cells
        texts = [c.source for c in cells if c.cell_type == 'markdown']
        labels = [l for c in cells if c.cell_type == 'code'
                  for l in re.findall(r'^#\|\s*label:\s*(\S+)', c.source, re.M)]
    else: texts, labels = [path.read_text('utf-8')], []
    texts = [''.join(_fence.split(t)[::2]) if '```' in t else t for t in texts]
    heads = [_slug(h) for t in texts for h in re.findall(r'^#{1,6}\s+(.+?)\s*$', t, re.M)]
    numbered = {f'{h}-{n}' for h in heads for n in range(1, heads.count(h))}
    spans = {s for t in texts for s in re.findall(r'\{#([\w.-]+)', t)}
    return {*heads, *labels, *numbered, *spans, *(n.lower() for n in symbols)}


def _text_cells(path):
    "The prose of a notebook or a .qmd file, piece by piece"
    import nbformat
    if path.suffix != '.ipynb': return [path.read_text('utf-8')]
    nb = nbformat.read(path, as_version=4)
    return [c.source for c in nb.cells if c.cell_type == 'markdown']


def _title_faults(path):
    "nbdev makes the page's header of the first cell, and drops what else is in it"
    first = ((_text_cells(path) or [''])[0]).splitlines()
    if not (first and first[0].startswith(('# ', '---'))): return ['does not open with a title']
    if first[0][0] != '#': return []
    lost = [l for l in first[1:] if l.strip() and not re.match(r'>\s|- \S+:', l)]
    return [f'nbdev drops what follows the title; give it a cell: {lost[0][:60]}'] if lost else []


def _link_faults(path, link, anchors):
    "What is wrong with a link on the page of `path`"
    nbs = ROOT/'nbs'
    if link.startswith('#'): to, anchor = path, link
    elif _outside(link): return
    else: to, anchor = _target(path.parent, link)
    if to is None and not link.endswith('api.qmd'): yield f'broken link {link}'
    elif to is not None and nbs not in to.parents:
        yield f'link {link} leaves the site; give its address on the web'
    elif to is not None and len(anchor) > 1 and anchor[1:] not in anchors.get(to, {anchor[1:]}):
        yield f'no {anchor} on the page that {link} leads to'


def site(_):
    "The sidebar, links with their anchors, and what .ci/pages.py made of _proc"
    import pages, site_checks
    found, nbs, by_page = [], ROOT/'nbs', pages.symbols()
    listed = [f for _, files in pages.sidebar() for f in files]
    have = [p.resolve().relative_to(nbs).as_posix() for p in notebooks()]
    have += [p.name for p in nbs.glob('*.qmd') if p.name != '404.qmd'] + ['api.qmd']
    found += [f'_quarto.yml: the sidebar lists {f}, not in nbs/' for f in listed if f not in have]
    found += [f'_quarto.yml: the sidebar does not list {f}' for f in have if f not in listed]
    files = [nbs/h for h in have if h != 'api.qmd'] + [nbs/'404.qmd']
    anchors = {p: _anchors(p, by_page.get(pages.page(p.relative_to(nbs).as_posix()), ()))
               for p in files}
    for path in files:
        name, links = path.relative_to(nbs), []
        faults = _title_faults(path)
        for text in _text_cells(path): map_links(text, lambda link: links.append(link) or link)
        faults += [f for link in links for f in _link_faults(path, link, anchors)]
        found += [f'{name}: {f}' for f in faults]
    found += site_checks.check()
    print('\n'.join(found) or f'{len(files)} pages, all in the sidebar; no broken link')
    if found: sys.exit(1)


def _pipe_table(html):
    "A pandas table as a Markdown table; None when its header has more than one level"
    from bs4 import BeautifulSoup
    soup = BeautifulSoup(html, 'html.parser')
    tables = soup.find_all('table')
    spans = soup.find(attrs={'rowspan': True}) or soup.find(attrs={'colspan': True})
    if len(tables) != 1 or spans: return
    text = lambda cell: cell.get_text(' ', strip=True).replace('|', '\\|')
    rows = [[text(c) for c in r.find_all(['th', 'td'])] for r in soup.find_all('tr')]
    head = tables[0].find('thead')
    n_head = len(head.find_all('tr')) if head else 0
    if n_head == 2 and not any(rows[1][1:]):    # the index has a name, on a line of its own
        rows[:2] = [[rows[0][0] or rows[1][0], *rows[0][1:]]]
    elif n_head != 1: return
    if len({len(r) for r in rows}) != 1: return
    line = lambda cells: '| ' + ' | '.join(cells) + ' |'
    return '\n'.join([line(rows[0]), '|---|' + '---:|' * (len(rows[0]) - 1), *map(line, rows[1:])])


def _readme_cell(cell):
    "The cell as the site shows it, without directives; None when it is hidden"
    d = directives(cell)
    value = lambda k: (d.get(k) or d.get(k.rstrip(':')) or [''])[0].lower()
    if d.keys() & {'hide', 'export', 'exporti', 'default_exp'}: return
    if value('include:') == 'false': return
    from nbdev.process import first_code_ln
    lines = cell.source.splitlines()
    start = first_code_ln(lines)
    code = [] if start is None else lines[start:]
    code = [l for l in code if not re.search(r'#\|\s*hide_line\s*$', l)]
    cell.source = '\n'.join(code)
    if value('echo:') == 'false': cell.metadata['transient'] = {'remove_source': True}
    if value('output:') == 'false': cell.outputs = []
    for o in cell.outputs:
        if 'data' not in o: continue
        html = o.data.pop('text/html', None)
        if html and (table := _pipe_table(_joined(html))): o.data['text/markdown'] = table
        elif html and 'text/plain' not in o.data:
            o.data['text/html'] = re.sub(r'<style.*?</style>', '', _joined(html), flags=re.S)
    cell.outputs = [o for o in cell.outputs if o.get('name') != 'stderr']
    return cell if cell.source.strip() or cell.outputs else None


def readme_files():
    "{path: bytes} of README.md and its pictures"
    import nbformat
    from nbconvert import MarkdownExporter
    nb, nbs = nbformat.read(ROOT/'nbs/index.ipynb', as_version=4), ROOT/'nbs'
    files, cells, broken = {}, [], []

    def to_github(link):
        if _outside(link): return link
        p, anchor = _target(nbs, link)
        if p is None: broken.append(link)
        return link if p is None else p.relative_to(ROOT).as_posix() + anchor

    for i, c in enumerate(nb.cells):
        if c.cell_type == 'raw': continue
        if c.cell_type == 'markdown':
            c.source = re.sub(r'^:::.*\n?', '', c.source, flags=re.M)
            c.source = map_links(c.source, to_github)
            cells.append(c)
        else:
            source, shown, n = c.source, _readme_cell(c), 0
            if shown is None: continue
            for o in shown.outputs:
                if (png := o.get('data', {}).pop('image/png', None)):
                    name, n = f'nbs/images/readme/{c.id}-{n}.png', n + 1
                    files[ROOT/name] = base64.b64decode(_joined(png))
                    size = o.metadata.get('image/png', {}).get('width')
                    alt = re.search(r'^#\|\s*fig-alt:\s*"(.*)"\s*$', source, re.M)
                    alt = html.escape(alt[1]) if alt else ''
                    width = f' width="{size}"' if size else ''
                    img = f'<img src="{name}" alt="{alt}"{width}>'
                    if not alt and not size: img = f'![]({name})'
                    o.data = nbformat.from_dict({'text/markdown': img})
            cells.append(shown)
    if broken: sys.exit('nbs/index.ipynb: broken links: ' + ', '.join(broken))
    nb.cells, nb.metadata['language_info'] = cells, {'name': 'python'}
    text, _ = MarkdownExporter().from_notebook_node(nb)
    text = re.sub(r'[ \t]+$', '', text, flags=re.M)
    text = re.sub(r'\n{3,}', '\n\n', text).strip()
    files[ROOT/'README.md'] = f'<!-- written from nbs/index.ipynb -->\n\n{text}\n'.encode()
    return files


def readme(args):
    files = readme_files()
    old = set((ROOT/'nbs/images/readme').glob('*.png')) - set(files)
    stale = [p for p, b in files.items() if not p.exists() or p.read_bytes() != b] + sorted(old)
    names = ', '.join(p.relative_to(ROOT).as_posix() for p in stale)
    if '--check' in args:
        if stale: sys.exit(f'not what nbs/index.ipynb gives: {names}; '
                           'run: python .ci/notebooks.py readme')
        return print('README.md is what nbs/index.ipynb gives')
    for p in old: p.unlink()
    for p, b in files.items():
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_bytes(b)
    print('written: ' + (names or 'nothing; it was current'))


def list_(_):
    for p in notebooks(): print(p.resolve().relative_to(ROOT).as_posix())


VERBS = {'list': list_, 'refresh': refresh, 'check': check, 'times': times, 'rooms': rooms,
         'style': style, 'site': site, 'readme': readme}

if __name__ == '__main__':
    if len(sys.argv) < 2 or sys.argv[1] not in VERBS: sys.exit(__doc__)
    VERBS[sys.argv[1]](sys.argv[2:])
