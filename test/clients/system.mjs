// Runs `slipway dev` on free ports for the length of a test run.
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const chainId = 53771311147
// The first accounts of the public development phrase.
export const accounts = [
  '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266',
  '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
  '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC',
]

async function freePort() {
  const server = createServer()
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address()
  await new Promise((done) => server.close(done))
  return port
}

/** Starts the system and resolves once the signer and the gateway are ready. */
export async function start() {
  const state = await mkdtemp(join(tmpdir(), 'slipway-clients-'))
  const names = ['gateway', 'gateway-admin', 'signer', 'signer-admin', 'chain', 'chain-ws']
  const ports = Object.fromEntries(await Promise.all(names.map(async (n) => [n, await freePort()])))
  const args = ['dev', '--state', state, '--block-time', '250ms', ...names.map((n) => `--${n}-port=${ports[n]}`)]
  const child = spawn(process.env.SLIPWAY ?? 'slipway', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (b) => (output += b))
  child.stderr.on('data', (b) => (output += b))
  const exited = new Promise((done) => child.once('exit', done))

  const stop = async () => {
    child.kill('SIGTERM')
    const code = await exited
    await rm(state, { recursive: true, force: true })
    return { code, output }
  }
  const deadline = Date.now() + 60_000
  for (const port of [ports['gateway-admin'], ports['signer-admin']]) {
    while (!(await isReady(port))) {
      if (Date.now() > deadline || child.exitCode !== null) {
        await stop()
        throw new Error(`slipway dev did not become ready:\n${output}`)
      }
      await new Promise((done) => setTimeout(done, 50))
    }
  }
  return {
    gateway: `http://127.0.0.1:${ports.gateway}`,
    gatewayAdmin: `http://127.0.0.1:${ports['gateway-admin']}`,
    signer: `http://127.0.0.1:${ports.signer}`,
    stop,
  }
}

async function isReady(port) {
  try {
    return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok
  } catch {
    return false
  }
}
