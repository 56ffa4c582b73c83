"Everything is said once, in settings.ini; what the installed package needs beside its modules, in PACKAGE_DATA."
from configparser import ConfigParser
from pathlib import Path
from shutil import copyfile
from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ini = ConfigParser(delimiters='=')
ini.read('settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
extras = {k: cfg[f'{k}_requirements'].split() for k in cfg.get('extras', '').split()}

# files that stand once in the project and, in a wheel, in erp_nbdev/data as well, under the same names
PACKAGE_DATA = ['experiments/**/*.yaml', 'nbs/experiments/*', 'tests_data/embedded/models/**/*',
                *(f'tests_data/embedded/{f}' for f in ('examination.parquet', 'prompts.parquet',
                                                       'rewards.parquet', 'pool.yaml'))]


def package_data():
    "The files of PACKAGE_DATA; fails where one of its lines finds nothing"
    for pattern in PACKAGE_DATA:
        found = [p for p in sorted(Path().glob(pattern))
                 if p.is_file() and not {'__pycache__', '.ipynb_checkpoints', 'runs'} & set(p.parts)]
        if not found: raise SystemExit(f'setup.py: nothing is called {pattern}; the package would not work without')
        yield from found


class WithData(build_py):
    "Copies PACKAGE_DATA beside the modules of a wheel; an editable installation has them where they are"
    def run(self):
        super().run()
        if getattr(self, 'editable_mode', False): return
        for source in package_data():
            target = Path(self.build_lib)/'erp_nbdev/data'/source
            target.parent.mkdir(parents=True, exist_ok=True)
            copyfile(source, target)


setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'],
    author=cfg['author'], author_email=cfg['author_email'], url=cfg['git_url'], license='Apache-2.0',
    keywords=cfg['keywords'], python_requires=f">={cfg['min_python']}",
    long_description=Path('README.md').read_text('utf-8') if Path('README.md').exists() else cfg['description'],
    long_description_content_type='text/markdown', cmdclass={'build_py': WithData},
    packages=find_packages(include=['erp_nbdev', 'erp_nbdev.*'], exclude=['erp_nbdev.recipes']), include_package_data=True,
    install_requires=cfg.get('requirements', '').split(), extras_require=extras, zip_safe=False,
    entry_points={'console_scripts': ['erp=erp_nbdev.command:main'], 'nbdev': ['erp_nbdev=erp_nbdev._modidx:d']},
)
