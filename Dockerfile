# The Astro runtime with Airflow 3.3.2. Its ONBUILD steps install packages.txt and requirements.txt and copy the
# project to /usr/local/airflow, which is on PYTHONPATH: `include.twitter` is importable as it is. The tag names
# the Python too: without it this runtime brings 3.14, which no test here runs on.
FROM astrocrpublic.azurecr.io/runtime:3.3-8-python-3.13
