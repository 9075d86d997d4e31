// The contracts of the tests, by their runtime code.
import assert from 'node:assert/strict'
import { ethers } from 'ethers'

// Logs the data of its call (CALLDATACOPY, LOG0).
export const logger = '365f5f37365fa000'
// Emits Logged(uint256 indexed) with the first word of its call: PUSH0 CALLDATALOAD,
// PUSH32 topic, PUSH0 PUSH0 LOG2 STOP.
export const numbers = `5f357f${ethers.id('Logged(uint256)').slice(2)}5f5fa200`
// Reverts with the custom error Refused(42): MSTORE of the selector, which ends at
// byte 32, and of the number behind it, then REVERT(28, 36).
export const refuser = `63${ethers.id('Refused(uint256)').slice(2, 10)}5f52602a6020526024601cfd`

/** Creates a contract through a wallet of viem's and returns its address. */
export async function deploy(wallet, reader, runtime) {
  const size = (runtime.length / 2).toString(16).padStart(2, '0')
  // PUSH1 size, PUSH1 10, PUSH0, CODECOPY, PUSH1 size, PUSH0, RETURN
  const hash = await wallet.sendTransaction({ data: `0x60${size}600a5f3960${size}5ff3${runtime}` })
  const { contractAddress } = await reader.waitForTransactionReceipt({ hash, timeout: 20_000 })
  assert.ok(contractAddress)
  return contractAddress
}

/** Waits until a condition holds; 20 seconds at most. */
export async function until(condition) {
  const deadline = Date.now() + 20_000
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not in time: ${condition}`)
    await new Promise((done) => setTimeout(done, 20))
  }
}
