// What viem and ethers see of a chain through the gateway over HTTP: numbers, ids,
// logs, filters and the data of reverts arrive as the node wrote them.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ethers } from 'ethers'
import { createPublicClient, createWalletClient, defineChain, http, parseAbi, parseEther } from 'viem'
import { deploy, logger, refuser } from './contracts.mjs'
import { accounts, chainId, start } from './system.mjs'

const [alice, bob] = accounts
const limited = { timeout: 60_000 } // ms; no client may hang for ever
const refusedAbi = parseAbi(['error Refused(uint256 code)', 'function anything() view'])

let system, chain, reader, wallet, loggerAt, refuserAt, logged

before(async () => {
  system = await start()
  chain = defineChain({ id: chainId, name: 'dev', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 }, rpcUrls: { default: { http: [system.gateway] } } })
  reader = createPublicClient({ chain, transport: http(system.gateway, { batch: true }), pollingInterval: 100 })
  wallet = createWalletClient({ chain, transport: http(system.signer), account: alice })
  loggerAt = await deploy(wallet, reader, logger)
  refuserAt = await deploy(wallet, reader, refuser)
  const hash = await wallet.sendTransaction({ to: loggerAt, data: '0xc0ffee', gas: 100_000n })
  logged = await reader.waitForTransactionReceipt({ hash, timeout: 20_000 })
  assert.equal(logged.status, 'success')
}, limited)

after(async () => {
  const { code, output } = await system.stop()
  assert.equal(code, 0, output)
}, limited)

test('viem reads blocks, receipts, logs and balances in batches', limited, async () => {
  const [id, block, receipt, logs, balance, missing] = await Promise.all([
    reader.getChainId(),
    reader.getBlock({ blockNumber: logged.blockNumber }),
    reader.getTransactionReceipt({ hash: logged.transactionHash }),
    reader.getLogs({ address: loggerAt, fromBlock: 0n, toBlock: 'latest' }),
    reader.getBalance({ address: bob, blockNumber: 0n }),
    reader.request({ method: 'eth_getTransactionReceipt', params: [`0x${'12'.repeat(32)}`] }),
  ])
  assert.equal(id, chainId)
  assert.equal(block.hash, logged.blockHash)
  assert.ok(block.transactions.includes(logged.transactionHash))
  assert.deepEqual(receipt, logged)
  assert.deepEqual(logs.map((l) => [l.data, l.transactionHash]), [['0xc0ffee', logged.transactionHash]])
  assert.equal(typeof balance, 'bigint')
  assert.equal(missing, null)
})

test('viem decodes the custom error of a revert', limited, async () => {
  const call = reader.readContract({ address: refuserAt, abi: refusedAbi, functionName: 'anything' })
  await assert.rejects(call, (err) => {
    const cause = err.walk((e) => e.data?.errorName)
    assert.equal(cause.data.errorName, 'Refused')
    assert.deepEqual(cause.data.args, [42n])
    return true
  })
})

test('viem polls filters of blocks and logs', limited, async () => {
  const blocks = await reader.createBlockFilter()
  const events = await reader.request({ method: 'eth_newFilter', params: [{ address: loggerAt }] })
  const hash = await wallet.sendTransaction({ to: loggerAt, data: '0xbeef', gas: 100_000n })
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: 20_000 })
  const changes = await reader.request({ method: 'eth_getFilterChanges', params: [events] })
  assert.deepEqual(changes.map((l) => [l.data, l.transactionHash]), [['0xbeef', receipt.transactionHash]])
  assert.ok((await reader.getFilterChanges({ filter: blocks })).includes(receipt.blockHash))
  assert.equal(await reader.uninstallFilter({ filter: blocks }), true)
})

test('ethers reads the same in its batches, and decodes the revert', limited, async () => {
  const provider = new ethers.JsonRpcProvider(system.gateway, undefined, { polling: true, pollingInterval: 100 })
  try {
    const [network, block, receipt, logs, balance] = await Promise.all([
      provider.getNetwork(),
      provider.getBlock(Number(logged.blockNumber)),
      provider.getTransactionReceipt(logged.transactionHash),
      provider.getLogs({ address: loggerAt, fromBlock: 0, toBlock: Number(logged.blockNumber) }),
      provider.getBalance(bob, 0),
    ])
    assert.equal(network.chainId, BigInt(chainId))
    assert.equal(block.hash, logged.blockHash)
    assert.equal(receipt.gasUsed, logged.gasUsed)
    assert.deepEqual(logs.map((l) => l.data), ['0xc0ffee'])
    assert.equal(balance, await reader.getBalance({ address: bob, blockNumber: 0n }))
    const contract = new ethers.Contract(refuserAt, ['error Refused(uint256 code)', 'function anything() view'], provider)
    await assert.rejects(contract.anything(), (err) => {
      assert.equal(err.revert.name, 'Refused')
      assert.deepEqual([...err.revert.args], [42n])
      return true
    })
  } finally {
    provider.destroy()
  }
})

test('ids come back as they were written', limited, async () => {
  for (const id of ['9007199254740993', '"a\\u0000b"', '1.50', '-0', 'null']) {
    const response = await fetch(system.gateway, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: `{"jsonrpc":"2.0","id":${id},"method":"eth_chainId"}`,
    })
    assert.equal(await response.text(), `{"jsonrpc":"2.0","id":${id},"result":"0x${chainId.toString(16)}"}`)
  }
})

test('a batch of raw transactions executes each once', limited, async () => {
  const funded = ethers.Wallet.createRandom()
  const hash = await wallet.sendTransaction({ to: funded.address, value: parseEther('1') })
  await reader.waitForTransactionReceipt({ hash, timeout: 20_000 })
  const provider = new ethers.JsonRpcProvider(system.gateway, undefined, { polling: true, pollingInterval: 100 })
  try {
    const raw = await Promise.all([0, 1, 2].map((nonce) => funded.signTransaction({ chainId, nonce, to: bob, value: 1n, gasLimit: 21_000n, gasPrice: 0n, type: 0 })))
    const sent = await Promise.all(raw.map((tx) => provider.broadcastTransaction(tx)))
    const receipts = await Promise.all(sent.map((tx) => tx.wait(1, 20_000)))
    assert.deepEqual(receipts.map((r) => r.status), [1, 1, 1])
    assert.deepEqual(sent.map((tx) => tx.hash), raw.map((tx) => ethers.keccak256(tx)))
    assert.equal(await provider.getTransactionCount(funded.address), 3)
  } finally {
    provider.destroy()
  }
})
