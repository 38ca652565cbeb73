// The page that ends a sign-in loop: the browser's own view beside what reached Sluice.
(() => {
	'use strict'
	const saw = document.querySelector('[data-saw]')
	if (!saw) return
	const list = saw.querySelector('dl')
	const row = (name, value) => {
		const box = document.createElement('div')
		const dt = document.createElement('dt')
		const dd = document.createElement('dd')
		dt.textContent = name
		dd.textContent = value
		box.append(dt, dd)
		list.append(box)
	}
	const say = (selector, text) => {
		const place = document.querySelector(selector)
		place.textContent = text
		place.hidden = false
	}

	// The page was made at most a moment before it is read; what is left is the difference of the clocks.
	const started = performance.timeOrigin + (performance.getEntriesByType('navigation')[0]?.responseStart ?? 0)
	const off = Math.round((started - Number(saw.dataset.now)) / 1000)
	row('Your browser’s clock', new Date().toISOString().slice(0, 19).replace('T', ' ') + ' UTC')
	if (Math.abs(off) > 60) {
		const much = Math.abs(off) < 7200 ? `${Math.round(Math.abs(off) / 60)} minutes` : `${Math.round(Math.abs(off) / 3600)} hours`
		say('[data-clock]', `The clock of this device is ${much} ${off > 0 ? 'ahead of' : 'behind'} Sluice’s. Set whichever is wrong: codes and single sign-on go by the time.`)
	}

	const scheme = location.protocol.replace(':', '')
	row('Your browser’s address', `${scheme}://${location.host}`)
	row('Your browser says about cookies', navigator.cookieEnabled ? 'allowed' : 'blocked for this site')
	const differences = []
	if (scheme !== saw.dataset.scheme) differences.push(`Your browser uses ${scheme}, and Sluice was told ${saw.dataset.scheme}: a proxy in between must set X-Forwarded-Proto, and Sluice must trust it (TRUST_PROXY).`)
	if (location.host.toLowerCase() !== saw.dataset.host.toLowerCase()) differences.push(`Your browser asked for ${location.host}, and Sluice was asked for ${saw.dataset.host}: a proxy in between must pass the Host header on unchanged.`)
	if (differences.length) say('[data-address]', differences.join(' '))
})()
