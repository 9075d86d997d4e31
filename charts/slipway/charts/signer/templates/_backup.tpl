{{/* The container that makes a copy, and restores it into an empty server before it counts. Takes $c. */}}
{{- define "signer.backup" -}}
{{- $c := . -}}
- name: backup
  {{- include "common.image" (dict "c" $c "image" $c.global.images.postgresql) | nindent 2 }}
  command:
    - sh
    - -euc
    - |
      umask 077
      cd /data
      rm -f ./*.part
      name="signer-$(date -u +%Y%m%dT%H%M%SZ).dump"
      pg_dump --format=custom --no-owner --no-privileges --file="$name.part"
      # A server of its own, without a network, that sees nothing of the variables above.
      for variable in $(env | sed -n 's/^\(PG[A-Z]*\)=.*/\1/p'); do
        case "$variable" in PGDATA) ;; *) unset "$variable" ;; esac
      done
      export PATH="$PATH:/usr/lib/postgresql/$(ls /usr/lib/postgresql | tail -1)/bin" PGHOST=/tmp/check PGDATA=/tmp/check/data
      mkdir -p /tmp/check
      initdb --username=postgres --auth=trust --encoding=UTF8 --no-locale >/tmp/check/initdb.log
      pg_ctl --silent --wait --log=/tmp/check/server.log --options="-c listen_addresses= -c unix_socket_directories=/tmp/check -c fsync=off" start
      createdb --username=postgres check
      pg_restore --username=postgres --dbname=check --exit-on-error --no-owner --no-privileges "$name.part"
      tables=$(psql --username=postgres --dbname=check --no-align --tuples-only --command="SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')")
      pg_ctl --silent --mode=fast stop
      test "$tables" -gt 0
      mv "$name.part" "$name"
      ls -1 signer-*.dump | sort -r | tail -n +{{ add1 (int $c.values.keep) }} | xargs -r rm -f
      echo "$name: $(stat -c %s "$name") bytes, restored with $tables tables"
  env:
    {{- include "common.postgresql.env" $c | nindent 4 }}
  {{- include "common.resources" $c | nindent 2 }}
  {{- include "common.containerSecurity" $c | nindent 2 }}
  volumeMounts:
    - {name: data, mountPath: /data}
    - {name: tmp, mountPath: /tmp}
    {{- include "common.caMounts" $c | nindent 4 }}
    {{- include "common.extraVolumeMounts" $c | nindent 4 }}
{{- end -}}

{{/* The container that puts the copy into the object store. Takes $c. */}}
{{- define "signer.push" -}}
{{- $c := . }}{{ $store := $c.stores.objectStore }}{{ $s3 := $c.values.s3 -}}
{{- if not $store.bucket }}{{ fail "global.datastores.txsigner.objectStore.bucket: is needed, because signer.backup.s3.enabled is true" }}{{ end -}}
- name: push
  {{- include "common.slipwayImage" $c | nindent 2 }}
  command: [slipway, backup, push]
  args:
    - --bucket={{ $store.bucket }}
    - --prefix={{ $s3.prefix | default $c.namespace }}
    - --keep={{ int $s3.keep }}
    - --timeout={{ $s3.timeout }}
    {{- if not $store.pathStyle }}
    - --no-path-style
    {{- end }}
    {{- if $store.bundled }}
    - --make-bucket
    {{- end }}
    - /data/signer-*.dump
  env:
    {{- include "common.objectStore.env" $c | nindent 4 }}
  resources:
    requests: {cpu: 20m, memory: 64Mi}
    limits: {memory: 256Mi}
  {{- include "common.containerSecurity" $c | nindent 2 }}
  volumeMounts:
    - {name: data, mountPath: /data, readOnly: true}
    {{- include "common.caMounts" $c | nindent 4 }}
    {{- include "common.extraVolumeMounts" $c | nindent 4 }}
{{- end -}}
