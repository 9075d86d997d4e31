// A TCP proxy whose open connections a test can cut, as a network does.
import { createServer, connect } from 'node:net'

/** Starts a proxy in front of an http:// URL. Its `url` is a ws:// one. */
export async function startProxy(target) {
  const { hostname, port } = new URL(target)
  const open = new Set()
  const server = createServer((client) => {
    const behind = connect(Number(port), hostname)
    for (const [from, to] of [[client, behind], [behind, client]]) {
      open.add(from)
      from.on('error', () => {}) // 'close' follows
      from.on('close', () => {
        open.delete(from)
        to.destroy()
      })
      from.pipe(to)
    }
  })
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  // With a reset: an orderly end would tell the client more than a lost network does.
  const cut = () => {
    const sockets = [...open]
    for (const socket of sockets) socket.resetAndDestroy()
    return sockets.length / 2
  }
  const stop = async () => {
    const closed = new Promise((done) => server.close(done))
    cut()
    await closed
  }
  return { url: `ws://127.0.0.1:${server.address().port}`, cut, stop }
}
