"Everything is said once, in settings.ini."
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

ini = ConfigParser(delimiters='=')
ini.read('settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
extras = {k: cfg[f'{k}_requirements'].split() for k in cfg.get('extras', '').split()}

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'],
    author=cfg['author'], author_email=cfg['author_email'], url=cfg['git_url'], license='Apache-2.0',
    keywords=cfg['keywords'], python_requires=f">={cfg['min_python']}",
    long_description=Path('README.md').read_text('utf-8') if Path('README.md').exists() else cfg['description'],
    long_description_content_type='text/markdown',
    packages=find_packages(include=['erp_nbdev', 'erp_nbdev.*'], exclude=['erp_nbdev.recipes']), include_package_data=True,
    install_requires=cfg.get('requirements', '').split(), extras_require=extras, zip_safe=False,
    entry_points={'console_scripts': ['erp=erp_nbdev.command:main'], 'nbdev': ['erp_nbdev=erp_nbdev._modidx:d']},
)
