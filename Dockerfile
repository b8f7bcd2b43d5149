# The mock backend:  docker build -t flashback-mock . && docker run -p 127.0.0.1:4010:4010 flashback-mock
FROM python:3.13-slim AS build
COPY . /source
RUN python -m venv /mock && /mock/bin/pip install --no-cache-dir '/source[mock,store]'

FROM python:3.13-slim
RUN useradd --create-home --uid 1000 mock && install -d -o mock /store /keys
COPY --from=build /mock /mock
# A number, because `runAsNonRoot` in Kubernetes rejects names.
USER 1000
ENV FLASHBACK_MOCK_KEYS_FILE=/keys/master
EXPOSE 4010
HEALTHCHECK --interval=5s --timeout=3s --start-period=2s \
    CMD ["/mock/bin/python", "-c", "from urllib.request import *; build_opener(ProxyHandler({})).open('http://127.0.0.1:4010/__admin/health', timeout=2)"]
# The mock runs as PID 1, so it receives SIGTERM directly and stops in less than a second.
ENTRYPOINT ["/mock/bin/python", "-m", "flashback_mock", "--host", "0.0.0.0"]
