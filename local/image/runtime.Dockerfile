# Stands in for the Astro runtime where its registry cannot be reached: Debian, its Python and the locked Airflow,
# with the runtime's user, folders and ONBUILD steps. So the project's own Dockerfile is what is built.
FROM scratch
ADD root.tar /
ENV AIRFLOW_HOME=/usr/local/airflow \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    PATH=/opt/airflow/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
    PYTHONPATH=/usr/local/airflow
RUN useradd --uid 50000 --gid 0 --create-home astro && mkdir "$AIRFLOW_HOME" && chown astro:0 "$AIRFLOW_HOME"
COPY constraints.txt /opt/
RUN python3 -m venv /opt/airflow && pip install --quiet --no-cache-dir --root-user-action ignore \
    --constraint /opt/constraints.txt apache-airflow
WORKDIR /usr/local/airflow

ONBUILD USER root
ONBUILD COPY packages.txt requirements.txt ./
ONBUILD RUN if [ -s packages.txt ]; then \
    apt-get update && xargs apt-get install --yes --no-install-recommends < packages.txt && \
    rm -rf /var/lib/apt/lists/*; fi
ONBUILD RUN pip install --quiet --no-cache-dir --root-user-action ignore --requirement requirements.txt && pip check
ONBUILD USER astro
ONBUILD COPY --chown=astro:0 . .
