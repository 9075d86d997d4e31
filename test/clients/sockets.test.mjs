// What viem and ethers see of a chain through the gateway over WebSocket:
// every head and log once and in order, calls and batches, and the way back in
// after the connection was cut.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ethers } from 'ethers'
import { createPublicClient, createWalletClient, defineChain, http, parseAbi, webSocket } from 'viem'
import { WebSocket } from 'ws'
import { deploy, numbers, refuser, until } from './contracts.mjs'
import { accounts, chainId, start } from './system.mjs'
import { startProxy } from './tcpproxy.mjs'

const [alice, bob] = accounts
const limited = { timeout: 60_000 } // ms; no client may hang for ever
const refusedAbi = parseAbi(['error Refused(uint256 code)', 'function anything() view'])
const loggedAbi = parseAbi(['event Logged(uint256 indexed number)'])
const loggedTopic = ethers.id('Logged(uint256)')

let system, gateway, proxy, chain, reader, wallet, loggerAt, refuserAt

before(async () => {
  system = await start()
  gateway = system.gateway.replace('http:', 'ws:')
  proxy = await startProxy(system.gateway)
  chain = defineChain({ id: chainId, name: 'dev', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 }, rpcUrls: { default: { http: [system.gateway] } } })
  reader = createPublicClient({ chain, transport: http(system.gateway), pollingInterval: 100 })
  wallet = createWalletClient({ chain, transport: http(system.signer), account: alice })
  loggerAt = await deploy(wallet, reader, numbers)
  refuserAt = await deploy(wallet, reader, refuser)
}, limited)

after(async () => {
  await proxy.stop()
  const { code, output } = await system.stop()
  assert.equal(code, 0, output)
}, limited)

// log leaves a log Logged(number) and returns the receipt.
async function log(number) {
  const hash = await wallet.sendTransaction({ to: loggerAt, data: ethers.toBeHex(number, 32), gas: 100_000n })
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: 20_000 })
  assert.equal(receipt.status, 'success')
  return receipt
}

// requireLinked checks that each block is the child of the one before it.
function requireLinked(blocks) {
  for (let i = 1; i < blocks.length; i++) {
    assert.equal(BigInt(blocks[i].number), BigInt(blocks[i - 1].number) + 1n)
    assert.equal(blocks[i].parentHash, blocks[i - 1].hash)
  }
}

// inOrder sorts blocks: viem reads the block of each head, and hands it on when its
// answer comes, which may be after that to the next one.
const inOrder = (blocks) => blocks.sort((a, b) => Number(a.number - b.number))

// openSockets is how many connections the gateway counts.
async function openSockets() {
  const text = await (await fetch(`${system.gatewayAdmin}/metrics`)).text()
  const lines = [...text.matchAll(/^\w*gateway_websocket_connections\{.*\} (\d+)$/gm)]
  return lines.reduce((sum, [, value]) => sum + Number(value), 0)
}

// viemOver makes a client of viem's with a socket of its own. A request that is tried
// again after close would open, and keep open, another one: none is.
async function viemOver(url) {
  const client = createPublicClient({ chain, transport: webSocket(url, { retryCount: 0, reconnect: { attempts: 20, delay: 100 } }) })
  const rpc = await client.transport.getRpcClient()
  return { client, close: () => rpc.close() }
}

test('viem calls over a socket, and decodes a revert', limited, async () => {
  const { client, close } = await viemOver(gateway)
  try {
    const numbers = Array.from({ length: 50 }, (_, i) => BigInt(i % 3))
    const [id, balance, ...blocks] = await Promise.all([
      client.getChainId(),
      client.getBalance({ address: bob, blockNumber: 0n }),
      ...numbers.map((blockNumber) => client.getBlock({ blockNumber })),
    ])
    assert.equal(id, chainId)
    assert.equal(balance, await reader.getBalance({ address: bob, blockNumber: 0n }))
    assert.deepEqual(blocks.map((b) => b.number), numbers)
    await assert.rejects(client.readContract({ address: refuserAt, abi: refusedAbi, functionName: 'anything' }), (err) => {
      assert.deepEqual(err.walk((e) => e.data?.errorName).data.args, [42n])
      return true
    })
  } finally {
    close()
  }
})

test('viem watches blocks and events', limited, async () => {
  const { client, close } = await viemOver(gateway)
  const blocks = []
  const events = []
  const errors = []
  const onError = (err) => errors.push(err)
  const stopBlocks = client.watchBlocks({ onBlock: (b) => blocks.push(b), onError })
  const stopEvents = client.watchEvent({ address: loggerAt, event: loggedAbi[0], onLogs: (logs) => events.push(...logs), onError })
  try {
    await until(() => blocks.length > 0)
    const receipts = []
    for (const number of [1n, 2n, 3n]) receipts.push(await log(number))
    const last = receipts[2].blockNumber
    await until(() => events.length >= 3 && blocks.at(-1).number >= last + 2n)

    requireLinked(inOrder(blocks))
    assert.deepEqual(events.map((e) => [e.args.number, e.transactionHash]), receipts.map((r, i) => [BigInt(i + 1), r.transactionHash]))
    assert.deepEqual(errors, [])
    await Promise.all([stopBlocks(), stopEvents()])
  } finally {
    close()
  }
})

test('viem subscribes again after the connection was cut', limited, async () => {
  const { client, close } = await viemOver(proxy.url)
  const blocks = []
  const events = []
  // A block that is being read at the cut comes as undefined.
  client.watchBlocks({ onBlock: (b) => b && blocks.push(b), onError: () => {} })
  client.watchEvent({ address: loggerAt, event: loggedAbi[0], onLogs: (logs) => events.push(...logs), onError: () => {} })
  try {
    for (const round of [1, 2, 3]) {
      const before = blocks.length
      await until(() => blocks.length >= before + 3)
      assert.equal(proxy.cut(), 1)
      const cut = await reader.getBlockNumber()
      await until(() => blocks.at(-1).number >= cut + 5n)
      const receipt = await log(BigInt(100 + round))
      await until(() => events.length >= round)
      assert.equal(events[round - 1].transactionHash, receipt.transactionHash)
    }
    // viem tells nothing of the time it was away: that is the application's to read.
    inOrder(blocks)
    const all = [blocks[0]]
    let gaps = 0
    for (const block of blocks.slice(1)) {
      if (block.number > all.at(-1).number + 1n) gaps++
      for (let n = all.at(-1).number + 1n; n < block.number; n++) all.push(await client.getBlock({ blockNumber: n }))
      all.push(block)
    }
    requireLinked(all)
    assert.ok(gaps <= 3, `${gaps} gaps after 3 cuts`)
    assert.deepEqual(events.map((e) => e.args.number), [101n, 102n, 103n])
  } finally {
    close()
  }
})

test('ethers is told of blocks and events, and closes', limited, async () => {
  await until(async () => (await openSockets()) === 0) // of the tests before
  const provider = new ethers.WebSocketProvider(gateway)
  try {
    const numbers = []
    const events = []
    const raw = []
    const contract = new ethers.Contract(loggerAt, ['event Logged(uint256 indexed number)'], provider)
    await provider.on('block', (n) => numbers.push(n))
    await contract.on('Logged', (number, event) => events.push([number, event.log.transactionHash]))
    await provider.on({ address: loggerAt, topics: [loggedTopic, ethers.toBeHex(12, 32)] }, (l) => raw.push(l.transactionHash))
    await until(() => numbers.length > 1)
    assert.equal(await openSockets(), 1)
    const receipts = []
    for (const number of [11n, 12n, 13n]) receipts.push(await log(number))
    const last = Number(receipts[2].blockNumber)
    await until(() => events.length >= 3 && numbers.at(-1) >= last + 2)

    assert.deepEqual(numbers, numbers.map((_, i) => numbers[0] + i))
    assert.deepEqual(events, receipts.map((r, i) => [BigInt(11 + i), r.transactionHash]))
    assert.deepEqual(raw, [receipts[1].transactionHash])

    await contract.off('Logged')
    await provider.off('block')
    const told = numbers.length
    await log(14n)
    assert.equal(events.length, 3)
    assert.ok(numbers.length <= told + 1, 'nothing is told after the end of a subscription')
  } finally {
    await provider.destroy()
  }
  await until(async () => (await openSockets()) === 0)
})

test('ethers calls over a socket', limited, async () => {
  const provider = new ethers.WebSocketProvider(gateway)
  try {
    const [network, block, balance, count] = await Promise.all([
      provider.getNetwork(), provider.getBlock(1), provider.getBalance(bob, 0), provider.getTransactionCount(alice),
    ])
    assert.equal(network.chainId, BigInt(chainId))
    assert.equal(block.hash, (await reader.getBlock({ blockNumber: 1n })).hash)
    assert.equal(balance, await reader.getBalance({ address: bob, blockNumber: 0n }))
    assert.equal(count, await reader.getTransactionCount({ address: alice }))
    const contract = new ethers.Contract(refuserAt, ['error Refused(uint256 code)', 'function anything() view'], provider)
    await assert.rejects(contract.anything(), (err) => err.revert.name === 'Refused' && err.revert.args[0] === 42n)
    await assert.rejects(provider.send('eth_noSuchMethod', []), (err) => err.info.error.code === -32601)
  } finally {
    await provider.destroy()
  }
})

test('an ethers application comes back after the connection was cut and misses nothing', limited, async () => {
  const told = []
  let provider
  // ethers leaves the way back in to the application: a new provider, and what was missed by number.
  const connect = async () => {
    provider = new ethers.WebSocketProvider(proxy.url)
    provider.websocket.onerror = () => {}
    const closed = new Promise((done) => (provider.websocket.onclose = done))
    await provider.on('block', (n) => told.push(n))
    const latest = await provider.getBlockNumber()
    return { closed, latest }
  }
  try {
    for (let round = 0; round < 3; round++) {
      const seen = told.at(-1)
      const { closed, latest } = await connect()
      const begin = told.length
      await until(() => told.length >= begin + 3)
      for (let n = (seen ?? told[begin] - 1) + 1; n < told[begin]; n++) assert.equal((await provider.getBlock(n)).number, n)
      assert.ok(told[begin] <= latest + 1, 'the first head follows what could be read after the subscription')
      assert.equal(proxy.cut(), 1)
      await closed
      const since = told.slice(begin)
      assert.deepEqual(since, since.map((_, i) => since[0] + i))
    }
  } finally {
    await provider.destroy()
  }
})

test('a batch over a socket is answered in one message and in order', limited, async () => {
  const socket = new WebSocket(gateway)
  await new Promise((done, failed) => socket.on('open', done).on('error', failed))
  try {
    const answered = new Promise((done) => socket.once('message', (data) => done(JSON.parse(data))))
    const call = (id, method, params = []) => ({ jsonrpc: '2.0', id, method, params })
    socket.send(JSON.stringify([
      call(1, 'eth_chainId'), call('two', 'eth_getBlockByNumber', ['0x1', false]), call(3, 'eth_noSuchMethod'),
      { jsonrpc: '2.0', method: 'eth_chainId', params: [] }, call(4, 'eth_getBalance', [bob, '0x0']),
    ]))
    const answers = await answered
    assert.deepEqual(answers.map((a) => a.id), [1, 'two', 3, 4])
    assert.equal(BigInt(answers[0].result), BigInt(chainId))
    assert.equal(answers[1].result.number, '0x1')
    assert.equal(answers[2].error.code, -32601)
    assert.equal(BigInt(answers[3].result), await reader.getBalance({ address: bob, blockNumber: 0n }))
  } finally {
    socket.close()
  }
})
