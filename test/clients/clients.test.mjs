// What users of viem, ethers and plain HTTP see, against a running system.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ethers } from 'ethers'
import { createPublicClient, createWalletClient, defineChain, http, parseEther } from 'viem'
import { accounts, chainId, start } from './system.mjs'

const [alice, bob, carol] = accounts
let system
const limited = { timeout: 60_000 } // ms; no client may hang for ever

before(async () => {
  system = await start()
}, limited)

after(async () => {
  const { code, output } = await system.stop()
  assert.equal(code, 0, output)
}, limited)

const chain = () =>
  defineChain({ id: chainId, name: 'dev', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 }, rpcUrls: { default: { http: [system.gateway] } } })

test('viem sends through the signer and reads through the gateway', limited, async () => {
  const wallet = createWalletClient({ chain: chain(), transport: http(system.signer), account: alice })
  const reader = createPublicClient({ chain: chain(), transport: http(system.gateway), pollingInterval: 100 })
  assert.equal(await reader.getChainId(), chainId)
  assert.ok((await wallet.getAddresses()).includes(alice))
  const balance = await reader.getBalance({ address: carol })

  const hash = await wallet.sendTransaction({ to: carol, value: parseEther('1.5') })
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: 20_000 })

  assert.equal(receipt.status, 'success')
  assert.equal(receipt.from, alice.toLowerCase())
  assert.equal(await reader.getBalance({ address: carol }), balance + parseEther('1.5'))
})

test('viem batches', limited, async () => {
  const reader = createPublicClient({ chain: chain(), transport: http(system.signer, { batch: true }) })
  const blocks = await Promise.all([0n, 1n, 0n].map((blockNumber) => reader.getBlock({ blockNumber })))
  assert.deepEqual(blocks.map((b) => b.number), [0n, 1n, 0n])
})

test('viem deploys a contract and sees a revert before it costs a nonce', limited, async () => {
  const wallet = createWalletClient({ chain: chain(), transport: http(system.signer), account: alice })
  const reader = createPublicClient({ chain: chain(), transport: http(system.gateway), pollingInterval: 100 })
  // Creation code that returns the runtime "PUSH0 PUSH0 REVERT".
  const hash = await wallet.sendTransaction({ data: '0x625f5ffd5f526003601df3' })
  const { contractAddress } = await reader.waitForTransactionReceipt({ hash, timeout: 20_000 })
  assert.ok(contractAddress)
  const nonce = await reader.getTransactionCount({ address: alice })

  await assert.rejects(wallet.sendTransaction({ to: contractAddress }), /revert/)

  assert.equal(await reader.getTransactionCount({ address: alice }), nonce)
})

test('ethers sends as a JSON-RPC signer and waits for the receipt', limited, async () => {
  const provider = new ethers.JsonRpcProvider(system.signer, undefined, { polling: true, pollingInterval: 100 })
  try {
    const signer = await provider.getSigner(bob)
    const sent = await Promise.all([1n, 2n, 3n].map((value) => signer.sendTransaction({ to: carol, value })))
    const receipts = await Promise.all(sent.map((tx) => tx.wait(1, 20_000)))

    assert.deepEqual(receipts.map((r) => r.status), [1, 1, 1])
    assert.equal(new Set(sent.map((tx) => tx.nonce)).size, 3)
  } finally {
    provider.destroy()
  }
})

test('an unknown account is refused in words ethers shows', limited, async () => {
  const provider = new ethers.JsonRpcProvider(system.signer)
  try {
    const from = '0x000000000000000000000000000000000000dEaD'
    await assert.rejects(provider.send('eth_sendTransaction', [{ from, to: bob }]), /unknown account/)
  } finally {
    provider.destroy()
  }
})

test('a REST request repeated with its key is executed once', limited, async () => {
  const create = (value) =>
    fetch(`${system.signer}/v1/transactions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'invoice-1' },
      body: JSON.stringify({ from: bob, to: carol, value }),
    })
  const first = await create('5')
  assert.equal(first.status, 202)
  const { id } = await first.json()
  const again = await create('5')
  assert.equal(again.status, 200)
  assert.equal((await again.json()).id, id)
  const other = await create('6')
  assert.equal(other.status, 409)
  assert.match(other.headers.get('content-type'), /application\/problem\+json/)

  const deadline = Date.now() + 20_000
  let tx
  do {
    tx = await (await fetch(`${system.signer}/v1/transactions/${id}`)).json()
    await new Promise((done) => setTimeout(done, 50))
  } while (tx.status !== 'confirmed' && Date.now() < deadline)
  assert.equal(tx.status, 'confirmed')
  assert.equal(tx.receipt.success, true)
})
