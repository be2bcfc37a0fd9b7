// SPDX-License-Identifier: Apache-2.0
// An application that gets a token as such applications do, and one that is sent it and verifies it by what its issuer
// publishes. node token.mjs RESOURCE ISSUER [OPTIONS-AS-JSON]: one JSON line of the token's claims, or of the error.
import { ManagedIdentityCredential } from "@azure/identity";
import { createRemoteJWKSet, jwtVerify } from "jose";

const [resource, issuer, options] = process.argv.slice(2);
try {
  const credential = new ManagedIdentityCredential(JSON.parse(options ?? "{}"));
  const { token, expiresOnTimestamp } = await credential.getToken(`${resource}/.default`);
  const discovery = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
  const { payload, protectedHeader } = await jwtVerify(token, createRemoteJWKSet(new URL(discovery.jwks_uri)), {
    issuer: discovery.issuer,
    audience: resource,
  });
  // The same token with one letter of its claims altered.
  const [header, claims, signature] = token.split(".");
  const altered = [header, (claims[0] === "e" ? "f" : "e") + claims.slice(1), signature].join(".");
  let forged = "accepted";
  try {
    await jwtVerify(altered, createRemoteJWKSet(new URL(discovery.jwks_uri)));
  } catch (error) {
    forged = error.code;
  }
  console.log(JSON.stringify({ claims: payload, algorithm: protectedHeader.alg, expires: expiresOnTimestamp, forged }));
} catch (error) {
  console.log(JSON.stringify({ error: error.name, message: error.message }));
}
