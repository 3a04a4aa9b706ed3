#!/usr/bin/env bash
# Makes the stores of the tests anew, with keytool (Java 9 or newer) and openssl 3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
rm -f ./*.jks ./*.p12 ./*.pem
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
days=36500

key() { keytool -genkeypair -keyalg EC -groupname secp256r1 -sigalg SHA256withECDSA -validity $days -storepass changeit "$@"; }

# An authority and a server whose certificate it signed, each with its key, in one PKCS12 store.
key -keystore "$work/ca.p12" -alias ca -dname CN=authority -ext bc:c
key -keystore "$work/server.p12" -alias server -dname CN=server
keytool -certreq -keystore "$work/server.p12" -storepass changeit -alias server |
  keytool -gencert -keystore "$work/ca.p12" -storepass changeit -alias ca -validity $days -ext san=dns:localhost -rfc > "$work/server.pem"
keytool -exportcert -rfc -keystore "$work/ca.p12" -storepass changeit -alias ca > ca.pem
keytool -importcert -noprompt -keystore "$work/server.p12" -storepass changeit -alias ca -file ca.pem
keytool -importcert -noprompt -keystore "$work/server.p12" -storepass changeit -alias server -file "$work/server.pem"
openssl pkcs12 -in "$work/server.p12" -passin pass:changeit -nodes -nocerts -out "$work/key.pem"
openssl pkcs8 -topk8 -nocrypt -in "$work/key.pem" -out key.pem
cat "$work/server.pem" ca.pem > chain.pem

copy() { keytool -importkeystore -noprompt -srckeystore "$work/server.p12" -srcstorepass changeit -srcalias server -deststorepass changeit "$@"; }
copy -destkeystore server.p12 -deststoretype PKCS12
copy -destkeystore server-old.p12 -deststoretype PKCS12 -J-Dkeystore.pkcs12.legacy
copy -destkeystore server.jks -deststoretype JKS
copy -destkeystore server-two-passwords.jks -deststoretype JKS -destkeypass another-one
openssl pkcs12 -export -inkey key.pem -in chain.pem -passout pass:changeit -name server -out server-openssl.p12

trust() { keytool -importcert -noprompt -storepass changeit -alias ca -file ca.pem "$@"; }
trust -keystore trust.jks -storetype JKS
trust -keystore trust.p12 -storetype PKCS12
# As Java writes one for which no password is wanted: neither encrypted nor authenticated.
trust -keystore trust-open.p12 -storetype PKCS12 -J-Dkeystore.pkcs12.certPbeIterationCount=1000 -J-Dkeystore.pkcs12.certProtectionAlgorithm=NONE -J-Dkeystore.pkcs12.macAlgorithm=NONE
openssl pkcs12 -export -nokeys -in ca.pem -passout pass:changeit -out trust-openssl.p12

openssl pkcs8 -topk8 -in key.pem -passout pass:changeit -v2 aes-256-cbc -out key-aes.pem
openssl pkcs8 -topk8 -in key.pem -passout pass:changeit -v2 des3 -v2prf hmacWithSHA1 -out key-3des.pem
openssl ec -in key.pem -aes256 -passout pass:changeit -out key-old-way.pem
keytool -importkeystore -noprompt -srckeystore "$work/server.p12" -srcstorepass changeit -srcalias server -deststorepass changeit -destkeystore server.jceks -deststoretype JCEKS
