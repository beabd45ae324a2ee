resource "google_container_node_pool" "cpu" {
  project  = var.project_id
  name     = "cpu-pool"
  cluster  = google_container_cluster.this.id
  location = var.region

  autoscaling {
    total_min_node_count = var.cpu_node_pool.min_node_count
    total_max_node_count = var.cpu_node_pool.max_node_count
    location_policy      = "BALANCED"
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  node_config {
    machine_type    = var.cpu_node_pool.machine_type
    disk_size_gb    = var.cpu_node_pool.disk_size_gb
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    resource_labels = var.labels

    gcfs_config {
      enabled = true
    }

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    dynamic "workload_metadata_config" {
      for_each = var.enable_workload_identity ? [true] : []
      content {
        mode = "GKE_METADATA"
      }
    }

    kubelet_config {
      container_log_max_size  = var.kubelet_container_log_max_size
      container_log_max_files = var.kubelet_container_log_max_files
    }
  }
}

resource "google_container_node_pool" "gpu" {
  for_each = { for pool in var.gpu_node_pools : pool.name => pool }

  project        = var.project_id
  name           = each.key
  cluster        = google_container_cluster.this.id
  location       = var.region
  node_locations = length(each.value.zones) > 0 ? each.value.zones : null

  # Totals over zones, in whichever a machine can be had.
  autoscaling {
    total_min_node_count = each.value.min_node_count
    total_max_node_count = each.value.max_node_count
    location_policy      = "ANY"
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  node_config {
    machine_type    = each.value.machine_type
    disk_size_gb    = each.value.disk_size_gb
    disk_type       = each.value.disk_type
    spot            = each.value.spot
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    resource_labels = var.labels
    labels          = each.value.labels

    guest_accelerator {
      type               = each.value.gpu_type
      count              = each.value.gpu_count
      gpu_partition_size = each.value.gpu_partition_size

      gpu_driver_installation_config {
        gpu_driver_version = "LATEST"
      }

      dynamic "gpu_sharing_config" {
        for_each = each.value.time_sharing_clients > 0 ? [true] : []
        content {
          gpu_sharing_strategy       = "TIME_SHARING"
          max_shared_clients_per_gpu = each.value.time_sharing_clients
        }
      }
    }

    dynamic "ephemeral_storage_local_ssd_config" {
      for_each = each.value.local_ssd_count > 0 ? [true] : []
      content {
        local_ssd_count = each.value.local_ssd_count
      }
    }

    # Containers begin while their images are still being read.
    gcfs_config {
      enabled = true
    }

    gvnic {
      enabled = true
    }

    shielded_instance_config {
      enable_integrity_monitoring = true
    }

    dynamic "workload_metadata_config" {
      for_each = var.enable_workload_identity ? [true] : []
      content {
        mode = "GKE_METADATA"
      }
    }

    kubelet_config {
      container_log_max_size  = var.kubelet_container_log_max_size
      container_log_max_files = var.kubelet_container_log_max_files
    }

    dynamic "taint" {
      for_each = concat(
        [{ key = "nvidia.com/gpu", value = "present", effect = "NO_SCHEDULE" }],
        each.value.taints
      )
      content {
        key    = taint.value.key
        value  = taint.value.value
        effect = taint.value.effect
      }
    }
  }

  lifecycle {
    ignore_changes = [initial_node_count]
  }
}
