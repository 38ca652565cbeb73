// Passkeys: a form with data-passkey asks Sluice for the options, lets the browser make ("create") or use ("get") a passkey, and is sent with the answer. All else about the form is plain HTML.
(() => {
	'use strict'
	const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0))
	const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
	const descriptors = (list) => (list || []).map((d) => ({ ...d, id: bytes(d.id) }))

	// The JSON form of options and answers is that of WebAuthn level 3 section 5.1; not every browser in use converts it by itself.
	const decoded = (o) => {
		const options = { ...o, challenge: bytes(o.challenge) }
		if (o.user) options.user = { ...o.user, id: bytes(o.user.id) }
		if (o.excludeCredentials) options.excludeCredentials = descriptors(o.excludeCredentials)
		if (o.allowCredentials) options.allowCredentials = descriptors(o.allowCredentials)
		return options
	}
	const encoded = (c) => {
		const r = c.response
		const response = { clientDataJSON: text(r.clientDataJSON) }
		if (r.attestationObject) {
			response.attestationObject = text(r.attestationObject)
			response.transports = r.getTransports ? r.getTransports() : []
		} else {
			response.authenticatorData = text(r.authenticatorData)
			response.signature = text(r.signature)
			if (r.userHandle) response.userHandle = text(r.userHandle)
		}
		return {
			id: c.id, rawId: text(c.rawId), type: c.type, response,
			authenticatorAttachment: c.authenticatorAttachment || undefined, clientExtensionResults: c.getClientExtensionResults(),
		}
	}

	// A browser that has used a passkey here offers it at the name's field the next time.
	const mark = 'sluice_passkey'
	const remembered = () => { try { return localStorage.getItem(mark) === 'yes' } catch { return false } }
	const remember = () => { try { localStorage.setItem(mark, 'yes') } catch { /* not kept, not needed */ } }

	const words = (error, making) => {
		switch (error.name) {
		case 'NotAllowedError': return making
			? 'No passkey was made: the browser’s question was closed, or took too long. Try again when you are ready.'
			: 'No passkey was used: the browser’s question was closed, took too long, or this device has no passkey for this place. Try again, or go on another way.'
		case 'InvalidStateError': return 'This device has a passkey for your account already.'
		case 'SecurityError': return `The browser refuses passkeys at ${location.host}. They need a host name (not an IP address) and https.`
		case 'NotSupportedError': case 'ConstraintError': return 'This device cannot make the kind of passkey that is needed, one that asks for a fingerprint, a face or a PIN. Try another device or a security key.'
		case 'TypeError': return 'Sluice did not answer. Try again in a moment.'
		}
		return error.message || 'The browser could not do this. Try again.'
	}

	const supported = () => {
		if (!window.isSecureContext) return 'Browsers know passkeys only on https (or on localhost).'
		if (!window.PublicKeyCredential || !navigator.credentials) return 'This browser knows no passkeys.'
		return ''
	}

	const ask = async (form) => {
		const answer = await fetch(form.dataset.options, { method: 'POST', headers: { Accept: 'application/json' }, cache: 'no-store', redirect: 'error' })
		const body = await answer.json().catch(() => ({}))
		if (answer.ok) return body
		if (String(body.type).endsWith('/step-up')) {
			location.assign('/confirm?return=' + encodeURIComponent(location.pathname))
			throw new DOMException('', 'AbortError')
		}
		throw new Error([body.detail, body.next].filter(Boolean).join(' '))
	}

	let waiting = null // the request at the name's field, which gives way to a button
	const say = (form, sentence) => {
		const place = form.querySelector('[data-passkey-trouble]')
		place.textContent = sentence
		place.hidden = !sentence
	}

	const send = (form, token, credential) => {
		form.querySelector('[data-passkey-token]').value = token
		form.querySelector('[data-passkey-answer]').value = JSON.stringify(encoded(credential))
		remember()
		form.submit()
	}

	const run = async (form) => {
		const making = form.dataset.passkey === 'create'
		const button = form.querySelector('[data-passkey-start]')
		if (waiting) waiting.abort()
		waiting = null
		say(form, '')
		button.disabled = true
		try {
			const { token, options } = await ask(form)
			const publicKey = decoded(options.publicKey)
			send(form, token, making ? await navigator.credentials.create({ publicKey }) : await navigator.credentials.get({ publicKey }))
		} catch (error) {
			if (error.name !== 'AbortError') say(form, words(error, making))
			button.disabled = false
			button.focus()
		}
	}

	// The offer at the name's field. Sluice forgets an offer after five minutes, so it is renewed before, a few times.
	const autofill = async (form, rounds) => {
		if (rounds === 0 || !remembered() || !PublicKeyCredential.isConditionalMediationAvailable || !await PublicKeyCredential.isConditionalMediationAvailable()) return
		const control = new AbortController()
		waiting = control
		let again = 0
		try {
			const { token, options } = await ask(form)
			if (waiting !== control) return
			again = setTimeout(() => { control.abort(); autofill(form, rounds - 1) }, 240000)
			const credential = await navigator.credentials.get({ publicKey: decoded(options.publicKey), mediation: 'conditional', signal: control.signal })
			send(form, token, credential)
		} catch (error) {
			if (error.name !== 'AbortError' && waiting === control) waiting = null
		}
		if (!control.signal.aborted) clearTimeout(again)
	}

	for (const form of document.querySelectorAll('form[data-passkey]')) {
		const why = supported()
		if (why) {
			if (!form.hasAttribute('data-passkey-quiet')) say(form, why)
			else for (const e of [form, form.previousElementSibling]) if (e.matches('.or, form')) e.hidden = true
			continue
		}
		const button = form.querySelector('[data-passkey-start]')
		button.hidden = false
		button.addEventListener('click', () => run(form))
		form.addEventListener('submit', (event) => {
			// Enter in the field of a name means the button.
			if (form.hasAttribute('data-passkey-only')) {
				event.preventDefault()
				run(form)
			}
		})
		if (form.hasAttribute('data-passkey-autofill')) autofill(form, 12)
	}
	addEventListener('pageshow', () => { for (const b of document.querySelectorAll('[data-passkey-start]')) b.disabled = false })
})()
