"""What the site promises.

    python .ci/site_checks.py          after .ci/pages.py: nothing is left to tidy in _proc, the API
                                       is current, and the themes' colours have contrast enough
    python .ci/site_checks.py links    after Quarto: every link in _proc/_docs leads somewhere
"""
import re, sys
from urllib.parse import unquote, urljoin, urlsplit
from pages import NBS, PROC, SITE, api, sidebar
from tidy import faults

CONTRAST = 4.5    # of text against what is behind it: WCAG 2, level AA
PAIRS = [('body-color', 'body-bg'), ('link-color', 'body-bg'), ('text-muted', 'body-bg'),
         ('code-color', 'code-bg'), ('body-color', 'code-block-bg'), ('link-color', 'code-bg'),
         ('navbar-fg', 'navbar-bg'), ('sidebar-fg', 'body-bg'), ('sidebar-hl', 'body-bg'),
         ('footer-fg', 'footer-bg'), ('link-color', 'footer-bg')]


def luminance(colour):
    "Relative luminance of '#rrggbb', as WCAG 2 defines it"
    parts = [int(colour[i:i + 2], 16)/255 for i in (1, 3, 5)]
    r, g, b = [c/12.92 if c <= .04045 else ((c + .055)/1.055)**2.4 for c in parts]
    return .2126*r + .7152*g + .0722*b


def contrast(theme):
    "[(text, ground, ratio)] of PAIRS in a theme's file"
    colour = dict(re.findall(r'^\$([\w-]+): (#[0-9a-f]{6});', (NBS/theme).read_text('utf-8'), re.M))
    for text, ground in PAIRS:
        low, high = sorted([luminance(colour[text]), luminance(colour[ground])])
        yield text, ground, (high + .05)/(low + .05)


def check():
    found = list(faults())
    for theme in ('light.scss', 'dark.scss'):
        ratios = list(contrast(theme))
        found += [f'{theme}: {a} on {b}: contrast {r:.2f}' for a, b, r in ratios if r < CONTRAST]
        print(f'{theme}: least contrast {min(r for *_, r in ratios):.2f}')
    for file in (f for _, files in sidebar() for f in files):
        if not (PROC/file).exists(): found.append(f'_quarto.yml: no {file} in _proc')
    if (PROC/'api.qmd').read_text('utf-8') != api(): found.append('_proc/api.qmd is not current')
    return found


def links():
    "Links in the rendered site that lead nowhere"
    from bs4 import BeautifulSoup
    docs = PROC/'_docs'
    soups = {p.relative_to(docs).as_posix(): BeautifulSoup(p.read_text('utf-8'), 'html.parser')
             for p in docs.rglob('*.html') if 'site_libs' not in p.parts}
    ids = {p: {e['id'] for e in s.find_all(id=True)} for p, s in soups.items()}
    base = urlsplit(SITE).path
    for here, soup in soups.items():
        for a in soup.find_all('a', href=True):
            to = urlsplit(urljoin(SITE + here, a['href']))
            if to.netloc != urlsplit(SITE).netloc or not to.path.startswith(base): continue
            path, anchor = unquote(to.path.removeprefix(base)) or 'index.html', unquote(to.fragment)
            if path in ids: bad = anchor and anchor not in ids[path]
            else: bad = not (docs/path).is_file()
            if bad: yield f"{here}: {a['href']}"


if __name__ == '__main__':
    found = list({'': check, 'links': links}[''.join(sys.argv[1:])]())
    print('\n'.join(found) or 'no fault')
    sys.exit(bool(found))
