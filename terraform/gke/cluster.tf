locals {
  network    = var.create_network ? google_compute_network.this[0].id : var.network
  subnetwork = var.create_network ? google_compute_subnetwork.this[0].id : var.subnetwork

  is_restricted = length(var.authorized_networks) > 0 || var.enable_private_endpoint
}

resource "google_container_cluster" "this" {
  project             = var.project_id
  name                = var.cluster_name
  location            = var.region
  network             = local.network
  subnetwork          = local.subnetwork
  deletion_protection = var.deletion_protection
  min_master_version  = var.kubernetes_version
  resource_labels     = var.labels

  # Pools are resources of their own, so that one can change without the cluster.
  remove_default_node_pool = true
  initial_node_count       = 1

  networking_mode   = "VPC_NATIVE"
  datapath_provider = "ADVANCED_DATAPATH" # enforces NetworkPolicies

  release_channel {
    channel = var.release_channel
  }

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }

  private_cluster_config {
    enable_private_nodes    = var.enable_private_nodes
    enable_private_endpoint = var.enable_private_endpoint
    master_ipv4_cidr_block  = var.enable_private_nodes ? var.master_ipv4_cidr_block : null
  }

  dynamic "master_authorized_networks_config" {
    for_each = local.is_restricted ? [true] : []
    content {
      dynamic "cidr_blocks" {
        for_each = var.authorized_networks
        content {
          cidr_block   = cidr_blocks.value.cidr_block
          display_name = cidr_blocks.value.display_name
        }
      }
    }
  }

  dynamic "workload_identity_config" {
    for_each = var.enable_workload_identity ? [true] : []
    content {
      workload_pool = "${var.project_id}.svc.id.goog"
    }
  }

  cluster_autoscaling {
    enabled = var.enable_node_auto_provisioning
    # Nodes that nobody needs go as soon as they can: GPUs are dear.
    autoscaling_profile = "OPTIMIZE_UTILIZATION"

    dynamic "resource_limits" {
      for_each = var.enable_node_auto_provisioning ? {
        cpu                 = [var.nap_min_cpu, var.nap_max_cpu]
        memory              = [var.nap_min_memory_gb, var.nap_max_memory_gb]
        "nvidia-l4"         = [0, 16]
        "nvidia-tesla-a100" = [0, 16]
      } : {}
      content {
        resource_type = resource_limits.key
        minimum       = resource_limits.value[0]
        maximum       = resource_limits.value[1]
      }
    }

    dynamic "auto_provisioning_defaults" {
      for_each = var.enable_node_auto_provisioning ? [true] : []
      content {
        service_account = google_service_account.nodes.email
        oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
      }
    }
  }

  logging_config {
    enable_components = var.enable_cloud_logging ? ["SYSTEM_COMPONENTS", "WORKLOADS"] : ["SYSTEM_COMPONENTS"]
  }

  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS"]

    managed_prometheus {
      enabled = var.enable_managed_prometheus
    }
  }

  lifecycle {
    ignore_changes = [initial_node_count]

    precondition {
      condition     = local.is_restricted || var.allow_public_api_server
      error_message = "The control plane would be open to everybody: give authorized_networks, set enable_private_endpoint, or accept it by allow_public_api_server."
    }
  }
}
