// The Verify page asks the app's own address what it sees and how streams arrive. Without this file the links on the page show the same.
(() => {
	'use strict'
	const row = document.querySelector('[data-stream-check]')
	const place = document.querySelector('[data-whoami]')
	const form = document.querySelector('[data-verified-form]')
	if (!row || !place) return
	const origin = row.dataset.origin
	const ask = (path) => fetch(origin + '/.sluice/verify/' + path, { credentials: 'include', cache: 'no-store', redirect: 'error' })

	const element = (name, className, text) => {
		const e = document.createElement(name)
		if (className) e.className = className
		if (text !== undefined) e.textContent = text
		return e
	}

	const verdict = (tone, text) => {
		row.classList.remove('tone-info', 'tone-good', 'tone-bad')
		row.classList.add(tone)
		row.querySelector('[data-result]').textContent = text
	}

	const unreachable = `Nothing came from ${origin}. Open the app once, so that this browser has a session there, and check again.`

	// Five events are sent 200 ms apart, which is 800 ms between the first and the last. Held back somewhere, they arrive together.
	const stream = async () => {
		verdict('tone-info', 'Waiting for the first event.')
		const arrivals = []
		const answer = await ask('stream')
		if (!answer.ok) throw new Error(String(answer.status))
		const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
		for (let text = '', seen = 0; ;) {
			const { done, value } = await reader.read()
			if (done) break
			text += value
			const count = text.split('\n\n').length - 1
			for (; seen < count; seen++) arrivals.push(performance.now())
			verdict('tone-info', `Event ${seen} of 5.`)
		}
		if (arrivals.length < 5) return verdict('tone-bad', `Only ${arrivals.length} of 5 events arrived; something on the way ends streams early.`)
		const spread = Math.round(arrivals[4] - arrivals[0])
		if (spread < 400) return verdict('tone-bad', `All events arrived within ${spread} ms instead of one by one: something between this browser and Sluice holds answers back. Switch off response buffering in the proxy.`)
		verdict('tone-good', `Five events arrived one by one within ${spread} ms; nothing holds answers back.`)
		return true
	}

	const rowOf = (name, value) => {
		const box = element('div')
		box.append(element('dt', '', name), element('dd', 'mono', value))
		return box
	}

	const whoami = async () => {
		const answer = await ask('whoami')
		if (!answer.ok) throw new Error(String(answer.status))
		const seen = await answer.json()
		const list = element('dl', 'rows')
		list.append(rowOf('You', `${seen.username} (${seen.role || 'no role'})`), rowOf('Your address', seen.ip), rowOf('The way there', (seen.chain || []).join(' ← ')))
		for (const name of Object.keys(seen.headers).sort()) list.append(rowOf(name, seen.headers[name].join(', ')))
		place.replaceChildren(list)
		return true
	}

	const run = async () => {
		const results = await Promise.allSettled([stream(), whoami()])
		if (results[0].status === 'rejected') verdict('tone-bad', unreachable)
		const good = results.every((r) => r.status === 'fulfilled' && r.value) && !document.querySelector('.check.tone-bad')
		if (good && form) {
			const saved = await fetch(form.action, { method: 'POST', headers: { Accept: 'application/json' } }).catch(() => null)
			if (saved && saved.ok) form.replaceChildren(element('span', 'muted', 'Verified: every check has passed.'))
		}
	}

	const again = row.querySelector('[data-stream-start]')
	again.hidden = false
	again.addEventListener('click', run)
	run()
})()
