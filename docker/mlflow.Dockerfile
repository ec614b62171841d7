# MLflow's server with its own authentication, runs in PostgreSQL and artifacts that only it touches.
#   docker build -f docker/mlflow.Dockerfile -t ubn-sweep-mlflow .
ARG BASE=python:3.11-slim
FROM ${BASE}
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 HOME=/tmp
WORKDIR /opt/mlflow
RUN python3 -m venv /opt/venv
COPY constraints.txt ./
RUN pip install --no-cache-dir --constraint constraints.txt "mlflow[auth]" psycopg2-binary
COPY docker/with-secrets.sh /usr/local/bin/with-secrets
COPY docker/serve-mlflow.sh /usr/local/bin/serve-mlflow
RUN useradd --uid 1000 --create-home keeper && mkdir /artifacts && chown keeper /artifacts
USER keeper
ENTRYPOINT ["with-secrets", "serve-mlflow"]
