# The production image: one for all roles (docker-compose.yml). No embedded engines, no tests, no root.
FROM python:3.13-slim AS build
COPY pyproject.toml requirements.lock ./
# What Belfry itself needs, in the locked versions and no others, each with its locked hash.
RUN pip install --no-cache-dir uv==0.13.8 \
 && uv venv /opt/venv \
 && uv pip install --python /opt/venv/bin/python --no-cache --compile-bytecode \
      --require-hashes -r pyproject.toml -c requirements.lock

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 BELFRY_STATIC_ROOT=/srv/belfry/static
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv/belfry
COPY manage.py ./
COPY project project
COPY notifications notifications
COPY channels_app channels_app
RUN python -m compileall -q project notifications channels_app \
 && python manage.py collectstatic --noinput -v0
USER 10001:10001
EXPOSE 8000
CMD ["python", "-m", "project.serve", "web"]
