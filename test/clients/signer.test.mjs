// What users of viem, ethers and web3.js see who let the signer sign, and what
// an application sees that keeps wallets for its users.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { ethers } from 'ethers'
import { createPublicClient, createWalletClient, defineChain, http, verifyMessage, verifyTypedData, webSocket } from 'viem'
import { Web3 } from 'web3'
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

const typed = {
  domain: { name: 'Shop', version: '1', chainId, verifyingContract: '0x00000000000000000000000000000000000000AA' },
  types: { Order: [{ name: 'buyer', type: 'address' }, { name: 'amount', type: 'uint256' }, { name: 'notes', type: 'string[]' }] },
  primaryType: 'Order',
  message: { buyer: bob, amount: 12345678901234567890n, notes: ['soon', 'gently'] },
}

const rpc = async (method, params, headers = {}) => {
  const answer = await fetch(system.signer, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  })
  return answer.json()
}

test('viem signs messages and typed data that verify', limited, async () => {
  const wallet = createWalletClient({ chain: chain(), transport: http(system.signer), account: alice })
  for (const message of ['hello', { raw: '0xdeadbeef' }, 'ünïcödé ✓']) {
    const signature = await wallet.signMessage({ message })
    assert.ok(await verifyMessage({ address: alice, message, signature }))
    assert.ok(!(await verifyMessage({ address: bob, message, signature })))
  }
  const signature = await wallet.signTypedData(typed)
  assert.ok(await verifyTypedData({ ...typed, address: alice, signature }))
})

test('viem lets a transaction be signed and sends it itself', limited, async () => {
  const wallet = createWalletClient({ chain: chain(), transport: http(system.signer), account: carol })
  const reader = createPublicClient({ chain: chain(), transport: http(system.gateway), pollingInterval: 100 })
  const nonce = await reader.getTransactionCount({ address: carol })
  const { result, error } = await rpc('eth_signTransaction', [
    { from: carol, to: bob, value: '0x7', gas: '0x5208', nonce: `0x${nonce.toString(16)}`, maxFeePerGas: '0x0', maxPriorityFeePerGas: '0x0', chainId: `0x${chainId.toString(16)}` },
  ])
  assert.equal(error, undefined)
  const hash = await wallet.sendRawTransaction({ serializedTransaction: result.raw ?? result })
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: 20_000 })
  assert.equal(receipt.from, carol.toLowerCase())
})

test('ethers signs messages and typed data that verify', limited, async () => {
  const provider = new ethers.JsonRpcProvider(system.signer)
  try {
    const signer = await provider.getSigner(bob)
    assert.equal(ethers.verifyMessage('hello', await signer.signMessage('hello')), bob)
    const signature = await signer.signTypedData(typed.domain, typed.types, typed.message)
    assert.equal(ethers.verifyTypedData(typed.domain, typed.types, typed.message, signature), bob)
  } finally {
    provider.destroy()
  }
})

test('web3.js sends, waits, signs and verifies', limited, async () => {
  const web3 = new Web3(system.signer)
  web3.transactionPollingInterval = 100
  assert.ok((await web3.eth.getAccounts()).map((a) => a.toLowerCase()).includes(alice.toLowerCase()))
  const receipt = await web3.eth.sendTransaction({ from: alice, to: bob, value: '11' })
  assert.equal(receipt.status, 1n)
  const signature = await web3.eth.sign(web3.utils.utf8ToHex('hello'), alice)
  assert.equal(web3.eth.accounts.recover('hello', signature).toLowerCase(), alice.toLowerCase())
})

test('a WebSocket at the signer sends and tells of blocks', limited, async () => {
  const transport = webSocket(system.signer.replace(/^http/, 'ws'), { reconnect: false })
  const client = createPublicClient({ chain: chain(), transport })
  const wallet = createWalletClient({ chain: chain(), transport: () => ({ ...transport({ chain: chain() }) }), account: bob })
  const hash = await wallet.sendTransaction({ to: carol, value: 3n })
  const block = await new Promise((resolve, reject) => {
    const stop = client.watchBlocks({ onBlock: (b) => { stop(); resolve(b) }, onError: reject, emitOnBegin: false })
  })
  assert.ok(block.number > 0n)
  assert.equal((await client.waitForTransactionReceipt({ hash, timeout: 20_000 })).status, 'success')
  ;(await client.transport.getRpcClient()).close()
  ;(await wallet.transport.getRpcClient?.())?.close()
})

test('a wallet with a PIN signs only for who knows it', limited, async () => {
  const sha256 = (text) => createHash('sha256').update(text).digest('hex')
  const { result: [wallet] } = await rpc('user_createWallet', ['vault', { name: 'user-1' }])
  assert.match(wallet.derivationPath, /^m\//)
  const { result: [verification] } = await rpc('user_createWalletVerification', [wallet.address, { name: 'pin', verificationType: 'PINCODE', pincode: '123456' }])
  const message = '0x68656c6c6f'

  const refused = await rpc('personal_sign', [message, wallet.address])
  assert.match(refused.error.message, /verif|challenge/i)

  const answerTo = async (pin) => {
    const { result } = await rpc('user_createWalletVerificationChallenge', [{ userWalletAddress: wallet.address, verificationId: verification.id }])
    const { salt, secret, challengeId } = (Array.isArray(result) ? result[0] : result).challenge
    return { 'x-auth-challenge-response': sha256(`${sha256(salt + pin)}_${secret}`), 'x-auth-verification-id': verification.id, challengeId }
  }
  const { challengeId: _, ...wrong } = await answerTo('654321')
  assert.ok((await rpc('personal_sign', [message, wallet.address], wrong)).error)
  const { challengeId: __, ...right } = await answerTo('123456')
  const signed = await rpc('personal_sign', [message, wallet.address], right)
  assert.ok(await verifyMessage({ address: wallet.address, message: 'hello', signature: signed.result }), JSON.stringify(signed))
  assert.ok((await rpc('personal_sign', [message, wallet.address], right)).error, 'a response works once')
})
