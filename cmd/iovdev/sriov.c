/* sriov.c - VFs appear and vanish with VF Enable.
 *
 * A VF's socket listens from the first VF Enable on and stays: its client,
 * DMA maps and eventfds outlive a reset.  While VF Enable is clear, what
 * arrives there is answered as Unsupported Request.
 */
#include <config.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/nic_tx.h"

#define DEFAULT_MAC_0 0x02
#define DEFAULT_MAC_1 0x69 /* "i" */
#define DEFAULT_MAC_2 0x6f /* "o" */

/* The number at the end of the device's name. */
static unsigned device_number(const char *device)
{
	size_t n = strlen(device);
	unsigned number = 0;

	while (n && device[n - 1] >= '0' && device[n - 1] <= '9')
		n--;
	for (; device[n]; n++)
		number = number * 10 + (unsigned)(device[n] - '0');
	return number;
}

void sriov_default_mac(struct nic *nic, struct function *f)
{
	const struct nic_options *o = nic->options;
	uint8_t mac[6] = { DEFAULT_MAC_0,
			   DEFAULT_MAC_1,
			   DEFAULT_MAC_2,
			   (uint8_t)device_number(nic->device),
			   0,
			   0 };

	memcpy(f->mac, o->mac_given ? o->mac_base : mac, sizeof(mac));
	f->mac[5] = (uint8_t)(f->mac[5] + f->vf);
	memset(f->mac_low, 0, sizeof(f->mac_low));
}

void sriov_restore_mac(struct function *f, const uint8_t mac[6])
{
	static const uint8_t none[sizeof(f->mac)];

	if (mac[0] & 1 || !memcmp(mac, none, sizeof(none)) ||
	    !memcmp(mac, f->mac, sizeof(f->mac)))
		return;
	memcpy(f->mac, mac, sizeof(f->mac));
	switch_set_mac(f->nic, f->vf, f->mac);
}

static int listen_all(struct nic *nic, unsigned n, struct complaint *c)
{
	char path[PATH_MAX];
	unsigned i;
	int err;

	for (i = 0; i < n; i++) {
		if (nic->vf[i]->server)
			continue;
		nic_socket_path(nic, i + 1, path);
		err = function_listen(nic->vf[i], path, c);
		if (err)
			return err;
	}
	return 0;
}

static void appear(struct nic *nic, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		nic->vf[i]->live = true;
		switch_set_mac(nic, i + 1, nic->vf[i]->mac);
	}
	nic->pf->num_vfs = n;
}

static void disappear(struct nic *nic)
{
	unsigned i;

	for (i = 0; i < nic->pf->num_vfs; i++) {
		function_reset(nic->vf[i]);
		nic->vf[i]->live = false;
	}
	switch_forget_vfs(nic);
	nic_tx_unstall(nic);
	nic->pf->num_vfs = 0;
}

void sriov_vanish(struct nic *nic)
{
	unsigned i;

	disappear(nic);
	for (i = 0; i < nic->n_vfs; i++) {
		sriov_default_mac(nic, nic->vf[i]);
		nic->vf[i]->wait = true;
		nic->vf[i]->queue[NIC_QUEUE_TX].pf_enable = true;
		nic->vf[i]->queue[NIC_QUEUE_RX].pf_enable = true;
	}
}

static unsigned asked_vfs(struct function *pf)
{
	return pci_config_get16(&pf->config,
				pf->config.sriov + PCI_SRIOV_NUM_VF);
}

/* VF Enable goes back to what it was. */
static void refuse(struct function *pf)
{
	pf->config.data[pf->config.sriov + PCI_SRIOV_CTRL] ^=
		PCI_SRIOV_CTRL_VFE;
}

static void apply(struct function *pf, unsigned todo)
{
	struct complaint c;

	if (todo & TODO_VF_DISABLE) {
		disappear(pf->nic);
	} else if (listen_all(pf->nic, asked_vfs(pf), &c)) {
		event(pf->nic->log, "vf.failed", "s:s, s:s", "function",
		      pf->name, "why", c.text);
		refuse(pf);
	} else {
		appear(pf->nic, asked_vfs(pf));
	}
}

static void finish(struct function *pf, bool go)
{
	struct vfu_request *req = pf->held_req;
	unsigned todo = pf->todo;

	pf->todo = 0;
	pf->held_req = NULL;
	if (go)
		apply(pf, todo);
	else
		refuse(pf);
	vfu_request_ok(req);
}

static void on_resume(void *arg)
{
	struct function *pf = arg;

	finish(pf, true);
	access_order_resume(pf);
}

enum op_result sriov_change(struct function *pf, struct vfu_request *req)
{
	unsigned index =
		pf->todo & TODO_VF_ENABLE ? POINT_VF_ENABLE : POINT_VF_DISABLE;
	enum point_verdict verdict;

	pf->held_req = req;
	verdict = point(pf->nic->program->points, index, &pf->hold, on_resume,
			pf, "s:s, s:i", "function", pf->name, "num_vfs",
			(int)asked_vfs(pf));
	if (verdict == POINT_HELD)
		return OP_WAIT;
	finish(pf, verdict == POINT_GO);
	return OP_DONE;
}
