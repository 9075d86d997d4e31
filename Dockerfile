# One image with the three programs: a release has one version, one thing to
# scan and to mirror, and charts choose the program with `command`.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# .git comes along: the programs say which commit they are.
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath \
	-ldflags "-s -w -X github.com/slipwayhq/slipway/internal/buildinfo.version=${VERSION}" \
	-o /out/ ./cmd/...

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/ /usr/local/bin/
ENV PATH=/usr/local/bin
# A number, because Kubernetes cannot check runAsNonRoot on a name.
USER 65532:65532
# No ENTRYPOINT: `docker run image signer` and a chart's `command: [signer]`
# read the same. Without a command it is the gateway, which needs no database.
CMD ["gateway"]
