# One image for every process of OPMS; docker-compose.yml says which one a container runs.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opms

COPY requirements.lock .
RUN pip install --require-hashes --only-binary :all: -r requirements.lock \
    && useradd --system --no-create-home --shell /usr/sbin/nologin opms

COPY . .
USER opms

CMD ["python", "server.py"]
