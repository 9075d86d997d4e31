// What web3.js sees of a chain through the gateway, over HTTP and over WebSocket.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createPublicClient, createWalletClient, defineChain, http } from 'viem'
import { Web3 } from 'web3'
import { deploy, logger, refuser, until } from './contracts.mjs'
import { accounts, chainId, start } from './system.mjs'
import { startProxy } from './tcpproxy.mjs'

const [alice] = accounts
const limited = { timeout: 60_000 } // ms; no client may hang for ever
// More than a double holds, and no round number in any base.
const large = 123_456_789_012_345_678_901n
const rich = '0x00000000000000000000000000000000DeaDBeef'
const refusedAbi = [
  { type: 'error', name: 'Refused', inputs: [{ name: 'code', type: 'uint256' }] },
  { type: 'function', name: 'anything', stateMutability: 'view', inputs: [], outputs: [] },
]

let system, proxy, wallet, reader, loggerAt, refuserAt, logged

before(async () => {
  system = await start()
  proxy = await startProxy(system.gateway)
  const chain = defineChain({ id: chainId, name: 'dev', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 }, rpcUrls: { default: { http: [system.gateway] } } })
  reader = createPublicClient({ chain, transport: http(system.gateway), pollingInterval: 100 })
  wallet = createWalletClient({ chain, transport: http(system.signer), account: alice })
  loggerAt = await deploy(wallet, reader, logger)
  refuserAt = await deploy(wallet, reader, refuser)
  await confirmed(await wallet.sendTransaction({ to: rich, value: large }))
  logged = await log('0xc0ffee')
}, limited)

after(async () => {
  await proxy.stop()
  const { code, output } = await system.stop()
  assert.equal(code, 0, output)
}, limited)

async function confirmed(hash) {
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: 20_000 })
  assert.equal(receipt.status, 'success')
  return receipt
}

const log = async (data) => confirmed(await wallet.sendTransaction({ to: loggerAt, data, gas: 100_000n }))

// overSocket makes a web3 with a socket that comes back soon.
function overSocket(url) {
  const web3 = new Web3(new Web3.providers.WebsocketProvider(url, {}, { delay: 100, autoReconnect: true, maxAttempts: 50 }))
  web3.currentProvider.on('error', () => {}) // what was in flight at a cut
  return web3
}

// disconnect ends a socket; the HTTP provider has none.
function disconnect(web3) {
  if (web3.currentProvider.supportsSubscriptions()) web3.currentProvider.disconnect()
}

const transports = {
  HTTP: () => new Web3(system.gateway),
  WebSocket: () => overSocket(system.gateway.replace('http:', 'ws:')),
}

for (const [name, connect] of Object.entries(transports)) {
  test(`web3.js reads over ${name}`, limited, async () => {
    const web3 = connect()
    try {
      const [id, block, receipt, logs, balance, wealth, none] = await Promise.all([
        web3.eth.getChainId(),
        web3.eth.getBlock(logged.blockNumber, true),
        web3.eth.getTransactionReceipt(logged.transactionHash),
        web3.eth.getPastLogs({ address: loggerAt, fromBlock: 0, toBlock: 'latest' }),
        web3.eth.getBalance(alice, 0),
        web3.eth.getBalance(rich),
        web3.eth.getAccounts(),
      ])
      assert.equal(id, BigInt(chainId))
      assert.equal(block.number, logged.blockNumber)
      assert.equal(block.hash, logged.blockHash)
      assert.deepEqual(block.transactions.map((tx) => tx.hash), [logged.transactionHash])
      assert.equal(receipt.gasUsed, logged.gasUsed)
      assert.deepEqual(logs.map((l) => [l.data, l.transactionHash]), [['0xc0ffee', logged.transactionHash]])
      assert.equal(balance, await reader.getBalance({ address: alice, blockNumber: 0n }))
      assert.equal(wealth, large)
      assert.deepEqual(none, [])
    } finally {
      disconnect(web3)
    }
  })

  test(`web3.js finds the data of a revert over ${name}`, limited, async () => {
    const web3 = connect()
    try {
      const contract = new web3.eth.Contract(refusedAbi, refuserAt)
      await assert.rejects(contract.methods.anything().call(), (err) => {
        assert.equal(err.cause.errorName, 'Refused')
        assert.equal(err.cause.errorArgs.code, 42n)
        assert.equal(err.cause.data, web3.eth.abi.encodeFunctionSignature('Refused(uint256)') + (42).toString(16).padStart(64, '0'))
        return true
      })
    } finally {
      disconnect(web3)
    }
  })

  test(`web3.js batches over ${name}`, limited, async () => {
    const web3 = connect()
    try {
      const batch = new web3.BatchRequest()
      const numbers = [2, 0, 1]
      const wanted = numbers.map((n) => batch.add({ method: 'eth_getBlockByNumber', params: [`0x${n}`, false] }))
      await batch.execute()
      const blocks = await Promise.all(wanted)
      assert.deepEqual(blocks.map((b) => b.number), numbers.map((n) => `0x${n}`))
    } finally {
      disconnect(web3)
    }
  })
}

test('web3.js is told of heads and logs, and comes back after the connection was cut', limited, async () => {
  const web3 = overSocket(proxy.url)
  const heads = []
  const logs = []
  // web3.js opens the connection again; subscribing again is the application's.
  const subscribe = async () => {
    const newHeads = await web3.eth.subscribe('newHeads')
    newHeads.on('data', (head) => heads.push(head))
    const events = await web3.eth.subscribe('logs', { address: loggerAt })
    events.on('data', (event) => logs.push(event.data))
  }
  try {
    await subscribe()
    const data = ['0xa0', '0xa1', '0xa2']
    for (const [round, sent] of data.entries()) {
      const begin = heads.length
      await until(() => heads.length >= begin + 2)
      await log(sent)
      await until(() => logs.length > round)
      const before = heads.length
      await until(() => heads.length >= before + 2)
      for (let i = begin + 1; i < heads.length; i++) {
        assert.equal(heads[i].number, heads[i - 1].number + 1n)
        assert.equal(heads[i].parentHash, heads[i - 1].hash)
      }
      const back = new Promise((done) => web3.currentProvider.once('connect', done))
      assert.equal(proxy.cut(), 1)
      await back
      web3.subscriptionManager.clear()
      const seen = heads.at(-1)
      const away = heads.length
      await subscribe()
      await until(() => heads.length > away)
      let last = seen
      for (let n = seen.number + 1n; n <= heads[away].number; n++) {
        const block = await web3.eth.getBlock(n)
        assert.equal(block.parentHash, last.hash)
        last = block
      }
      assert.equal(last.hash, heads[away].hash)
    }
    assert.deepEqual(logs, data)
  } finally {
    disconnect(web3)
  }
})
