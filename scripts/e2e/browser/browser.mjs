// A page in a real browser: fetch in several ways, an event stream, a form, cookies, an image. It is loaded from the server directly and
// through hoft; what it saw must be the same.
// usage: browser.mjs serve FILE | browser.mjs load ADDRESS
import http from 'node:http'
import fs from 'node:fs'

const page = `<!doctype html><meta charset="utf-8"><title>probe</title><img id="i" src="/pixel.png">
<script type="module">
const seen = {}
const done = async (name, f) => { try { seen[name] = await f() } catch (e) { seen[name] = 'error: ' + e.message } }
const text = async r => [r.status, r.headers.get('content-type'), await r.text()]
await done('get', async () => text(await fetch('/echo?a=%2F;b&c=')))
await done('json', async () => text(await fetch('/echo', {method: 'POST', headers: {'Content-Type': 'application/json', 'X-Probe': 'ü'.normalize() && 'v'}, body: JSON.stringify({a: 1})})))
await done('bytes', async () => {
  const sent = crypto.getRandomValues(new Uint8Array(60000))
  const got = new Uint8Array(await (await fetch('/raw', {method: 'PUT', body: sent})).arrayBuffer())
  return got.length === sent.length && got.every((b, i) => b === sent[i])
})
await done('form', async () => { const f = new FormData(); f.set('name', 'value'); f.set('file', new Blob(['content']), 'f.txt'); const r = await fetch('/form', {method: 'POST', body: f}); return [r.status, (await r.text()).includes('content')] })
await done('method', async () => text(await fetch('/echo', {method: 'PROPFIND'})))
await done('head', async () => { const r = await fetch('/raw', {method: 'HEAD'}); return [r.status, await r.text()] })
await done('range', async () => text(await fetch('/range', {headers: {Range: 'bytes=2-4'}})))
await done('cached', async () => { const a = await fetch('/etag'); const b = await fetch('/etag', {headers: {'If-None-Match': a.headers.get('etag')}, cache: 'no-store'}); return [a.status, b.status] })
await done('redirect', async () => { const r = await fetch('/redirect'); return [r.status, r.redirected, new URL(r.url).pathname] })
await done('cookie', async () => { await fetch('/login'); return text(await fetch('/who')) })
await done('missing', async () => text(await fetch('/missing')))
await done('stream', async () => {
  const reader = (await fetch('/slowly')).body.getReader()
  let parts = 0, all = ''
  for (;;) { const {done, value} = await reader.read(); if (done) break; parts++; all += new TextDecoder().decode(value); await fetch('/next', {method: 'POST'}) }
  return [parts > 1, all]
})
await done('broken', async () => { try { const r = await fetch('/broken'); await r.text(); return r.ok ? 'looks whole' : 'seen as broken' } catch { return 'seen as broken' } })
await done('events', () => new Promise((resolve, reject) => {
  const got = [], es = new EventSource('/events')
  es.addEventListener('tick', e => { got.push(e.data + '#' + e.lastEventId); if (got.length === 5) { es.close(); resolve(got) } })
  es.onerror = () => { if (es.readyState === EventSource.CLOSED) reject(new Error('closed')) }
}))
await done('websocket', () => new Promise(resolve => { const ws = new WebSocket(location.href.replace('http', 'ws') + 'ws'); ws.onopen = () => resolve('open'); ws.onerror = () => resolve('refused') }))
await done('image', async () => { const i = document.getElementById('i'); await i.decode(); return [i.naturalWidth, i.naturalHeight] })
globalThis.result = seen
</script>`
const pixel = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64')

function serve(ready) {
  const body = req => new Promise((resolve, reject) => { const parts = []; req.on('data', p => parts.push(p)).on('end', () => resolve(Buffer.concat(parts))).on('error', reject) })
  const send = (res, status, type, data, more = {}) => { res.writeHead(status, {'Content-Type': type, ...more}); res.end(data) }
  let next = () => {}
  const server = http.createServer(async (req, res) => {
    const url = new URL(req.url, 'http://x')
    switch (url.pathname) {
      case '/': return send(res, 200, 'text/html', page)
      case '/pixel.png': return send(res, 200, 'image/png', pixel)
      case '/echo': return send(res, 200, 'text/plain', `${req.method} ${req.url} ${req.headers['x-probe'] ?? ''} ${req.headers['content-type'] ?? ''} ${await body(req)}`)
      case '/raw': return send(res, 200, 'application/octet-stream', await body(req))
      case '/form': return send(res, 201, 'text/plain', await body(req))
      case '/range': return send(res, 206, 'text/plain', '234', {'Content-Range': 'bytes 2-4/10'})
      case '/etag': return req.headers['if-none-match'] === '"e1"' ? (res.writeHead(304, {ETag: '"e1"'}), res.end()) : send(res, 200, 'text/plain', 'tagged', {ETag: '"e1"'})
      case '/redirect': return send(res, 302, 'text/plain', '', {Location: '/echo'})
      case '/login': return send(res, 200, 'text/plain', 'in', {'Set-Cookie': ['session=s1; Path=/; HttpOnly; SameSite=Strict', 'other=o; Path=/']})
      case '/who': return send(res, 200, 'text/plain', (req.headers.cookie ?? 'nobody').split('; ').sort().join(','))
      case '/slowly':
        res.writeHead(200, {'Content-Type': 'text/plain'})
        for (const part of ['one ', 'two ', 'three']) { const asked = new Promise(r => { next = r }); res.write(part); await asked } // no part comes before the one before it was read
        return res.end()
      case '/next': next(); return send(res, 200, 'text/plain', 'asked')
      case '/broken':
        res.writeHead(200, {'Content-Length': 1000})
        res.write('half')
        return setTimeout(() => res.destroy(), 50)
      case '/events': {
        res.writeHead(200, {'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store'})
        const from = Number(req.headers['last-event-id'] ?? 0)
        for (let i = from + 1; i <= 5; i++) {
          res.write(`retry: 50\nid: ${i}\nevent: tick\ndata: tick ${i}\n\n`)
          await new Promise(r => setTimeout(r, 20))
          if (i === 3) return res.end() // the browser comes back and says where it was
        }
        return res.end()
      }
    }
    send(res, 404, 'text/plain', 'nothing here')
  })
  server.listen(0, '127.0.0.1', () => fs.writeFileSync(ready, `127.0.0.1:${server.address().port}`))
}

async function load(address) {
  const {chromium} = await import('playwright-core')
  const browser = await chromium.launch({executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--no-proxy-server', '--disable-gpu']})
  try {
    const tab = await browser.newPage()
    await tab.goto(address)
    await tab.waitForFunction(() => globalThis.result, undefined, {timeout: 60000})
    for (const [name, value] of Object.entries(await tab.evaluate(() => globalThis.result))) console.log(name, JSON.stringify(value))
  } finally {
    await browser.close()
  }
}

const [, , what, arg] = process.argv
await (what === 'serve' ? serve(arg) : load(arg))
