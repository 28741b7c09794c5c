// Opens what hoft sealed and seals the same claims again, with npm's jose and Node's own HKDF alone.
import { hkdfSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import assert from 'node:assert/strict'
import * as jose from 'jose'

const dir = process.argv[2]
const read = (name) => readFileSync(join(dir, name), 'utf8')
const scene = JSON.parse(read('scene.json'))
const typ = 'hoft-frame+jwt'

// thumbprints
for (const jwk of [scene.sender, scene.recipient]) {
  assert.equal(await jose.calculateJwkThumbprint(jwk), jwk.kid, 'thumbprints differ')
}

const sig = await jose.importJWK(scene.sender, 'EdDSA')
const { d: _, ...senderPublic } = scene.sender
const verify = await jose.importJWK(senderPublic, 'EdDSA')
const dec = await jose.importJWK(scene.recipient, 'ECDH-ES')
const { d: __, ...recipientPublic } = scene.recipient
const enc = await jose.importJWK(recipientPublic, 'ECDH-ES')

const psk = Buffer.from(scene.psk, 'base64url')
const derive = (label) => Buffer.from(hkdfSync('sha256', psk, '', `hoft/v1 psk ${label} ${scene.iss}>${scene.aud}`, 32))
const pskKid = derive('kid').toString('base64url')

const suites = {
  keys: {
    outer: { alg: 'ECDH-ES', enc: 'A256GCM', cty: 'JWT', kid: scene.recipient.kid, typ },
    inner: { alg: 'EdDSA', kid: scene.sender.kid, typ },
    sign: sig, verify, encrypt: enc, decrypt: dec,
  },
  psk: {
    outer: { alg: 'A256KW', enc: 'A256GCM', cty: 'JWT', kid: pskKid, typ },
    inner: { alg: 'HS256', kid: pskKid, typ },
    sign: derive('sign'), verify: derive('sign'), encrypt: derive('encrypt'), decrypt: derive('encrypt'),
  },
}

for (const [name, s] of Object.entries(suites)) {
  const claims = read(`claims.${name}`)
  assert.equal(JSON.parse(claims).rkt, s.outer.kid, 'rkt is not the kid')

  // hoft to jose
  const line = read(`hoft.${name}`)
  assert.equal(line.at(-1), '\n')
  const open = async (token) => {
    const o = await jose.compactDecrypt(token, s.decrypt, {
      keyManagementAlgorithms: [s.outer.alg], contentEncryptionAlgorithms: [s.outer.enc],
    })
    const i = await jose.compactVerify(o.plaintext, s.verify, { algorithms: [s.inner.alg] })
    const { epk, ...rest } = o.protectedHeader
    assert.deepEqual(rest, s.outer, 'outer header')
    assert.equal(epk !== undefined, name === 'keys')
    assert.deepEqual(i.protectedHeader, s.inner, 'inner header')
    return new TextDecoder().decode(i.payload)
  }
  assert.equal(await open(line.slice(0, -1)), claims, 'claims')
  const changed = line.slice(0, -10) + (line.at(-10) === 'A' ? 'B' : 'A') + line.slice(-9, -1)
  await assert.rejects(open(changed), jose.errors.JWEDecryptionFailed)

  // jose to hoft
  const inner = await new jose.CompactSign(new TextEncoder().encode(claims)).setProtectedHeader(s.inner).sign(s.sign)
  const outer = await new jose.CompactEncrypt(new TextEncoder().encode(inner)).setProtectedHeader(s.outer).encrypt(s.encrypt)
  writeFileSync(join(dir, `jose.${name}`), outer + '\n')
  console.log(`${name}: jose opens what hoft sealed`)
}
