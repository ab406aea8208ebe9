# The Astro runtime of the Airflow 3.3 line. Its ONBUILD steps install packages.txt and requirements.txt and
# copy the project to /usr/local/airflow, which is on PYTHONPATH: `include.twitter` is importable as it is.
FROM astrocrpublic.azurecr.io/runtime:3.3-8
